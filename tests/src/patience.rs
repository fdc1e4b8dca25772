//! Time limits that no machine is too busy for.

use std::time::Duration;

use ftp_proto::Config;

/// Far more than anything takes.
const LONG: Duration = Duration::from_secs(600);

/// The usual configuration, in which only those time limits run out that a test sets.
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
