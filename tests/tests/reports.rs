//! Decisions about single reports, which no simulated world brings about on its own.

#[path = "reports/disputes.rs"]
mod disputes;
#[path = "reports/end.rs"]
mod end;
#[path = "reports/growth.rs"]
mod growth;
#[path = "reports/harness.rs"]
mod harness;
#[path = "reports/size.rs"]
mod size;
#[path = "reports/standby.rs"]
mod standby;
