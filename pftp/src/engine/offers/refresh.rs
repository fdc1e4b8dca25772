//! A fresh data connection in place of one whose stream has collapsed: see [`Refresh`](crate::engine::pool::refresh).

use crate::engine::forecast::View;
use crate::engine::ids::ServerId;
use crate::engine::pool::path::Span;
use ftp_proto::SessionId;
use std::time::Duration;

/// The time over which the rate of a stream is measured to find a collapse.
const LOOK_BACK: Span = (6, Duration::from_millis(300));

/// The bytes per second of the session's transfer, if its stream has collapsed and a refresh pays.
pub(in crate::engine) fn collapsed_rate(view: &View<'_>, id: SessionId) -> Option<u64> {
    let session = view.pool.sessions.get(id).filter(|session| !session.is_closing())?;
    let server = &view.pool.servers[session.server];
    let transfer = session.transfer_of(view.id).filter(|transfer| !transfer.is_cut)?;
    let splits = !view.file.is_single() && view.file.ledger.size().is_some();
    let may = server.restarts && splits && session.rate.has_settled(view.now);
    if !may
        || !server.refresh.is_allowed(view.now)
        || begins_transfers(view, session.server)
        || server.path.is_at_its_best(view.now)
    {
        return None;
    }
    let rate = session.rate.over(server.path.span(LOOK_BACK), view.now)?;
    let fresh = server.refresh.fresh_rate().unwrap_or(transfer.peak);
    let left = transfer.until.end().saturating_sub(transfer.at);
    let millis = |rate: u64| u128::from(left).saturating_mul(1000) / u128::from(rate.max(1));
    let set_up = server.path.first_byte_time().as_millis();
    (rate < fresh / 3 * 2 && millis(rate) > millis(fresh).saturating_add(set_up)).then_some(rate)
}

/// Whether transfers from the server are about to begin: they show what there is to gain, and they get the bandwidth that one
/// stream has lost.
fn begins_transfers(view: &View<'_>, server: ServerId) -> bool {
    let usual = view.pool.servers[server].path.first_byte_time();
    view.pool.sessions.values().filter(|session| session.server == server).any(|session| {
        let Some(transfer) = session.transfer() else { return session.replaced_rate.is_some() };
        let begins = || session.running(1, usual, view.now).is_some_and(|running| running.rate > 0);
        transfer.is_cut || !transfer.delivers() && begins()
    })
}
