//! Timeouts that no busy machine exceeds.

use std::time::Duration;

use ftp_proto::Config;

/// Far longer than any test takes.
const LONG: Duration = Duration::from_secs(600);

/// Returns the default configuration with timeouts that never expire unless a test sets them.
pub fn patient() -> Config {
    let mut config = Config::default();
    let timeouts = &mut config.timeouts;
    for limit in [
        &mut timeouts.connect,
        &mut timeouts.login,
        &mut timeouts.reply,
        &mut timeouts.burst,
        &mut timeouts.data_connect,
        &mut timeouts.stall,
        &mut timeouts.completion,
        &mut timeouts.cut,
    ] {
        *limit = LONG;
    }
    config
}
