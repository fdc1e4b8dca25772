//! The `pftp` command against model servers, as users and server operators see it.

#[path = "command/bytes.rs"]
mod bytes;
#[path = "command/caps.rs"]
mod caps;
#[path = "command/changes.rs"]
mod changes;
#[path = "command/checksum.rs"]
mod checksum;
#[path = "command/checksum_auto.rs"]
mod checksum_auto;
#[path = "command/codes.rs"]
mod codes;
#[path = "command/config.rs"]
mod config;
#[path = "command/dialects.rs"]
mod dialects;
#[path = "command/kills.rs"]
mod kills;
#[path = "command/lies.rs"]
mod lies;
#[path = "command/local.rs"]
mod local;
#[path = "command/lock_step.rs"]
mod lock_step;
#[path = "command/log.rs"]
mod log;
#[path = "command/mirrors.rs"]
mod mirrors;
#[path = "command/names.rs"]
mod names;
#[path = "command/progress.rs"]
mod progress;
#[path = "command/regressions.rs"]
mod regressions;
#[path = "command/resume.rs"]
mod resume;
#[path = "command/signals.rs"]
mod signals;
#[path = "command/space.rs"]
mod space;
#[path = "command/stdout.rs"]
mod stdout;
#[path = "command/support.rs"]
mod support;
#[path = "command/take_over.rs"]
mod take_over;
#[path = "command/useless.rs"]
mod useless;
