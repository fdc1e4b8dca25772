//! The control connection ends, in each of three ways, after every step.

use crate::table::Outcome::{Either, Fails, Whole};
use crate::table::*;

/// The behaviour of a server whose session ends like this after so many replies.
fn after(replies: u32, reaction: Reaction) -> Behaviour {
    Behaviour::default().when(Trigger::Replies(replies), reaction)
}

/// Says 421, and closes the connection.
fn leaves() -> Reaction {
    Reaction::reply_and_close("421 Going down.")
}

rows! {
    closed_after_the_greeting_once: "closes the control connection after the greeting, once" => Whole, once(after(1, Reaction::Close));
    closed_after_the_greeting_always: "closes the control connection after the greeting, always" => Fails(1, "connecting: connection closed by the server"), always(after(1, Reaction::Close));
    reset_after_the_greeting_once: "resets the control connection after the greeting, once" => Whole, once(after(1, Reaction::Reset));
    reset_after_the_greeting_always: "resets the control connection after the greeting, always" => Fails(1, "connecting: connection reset by the server"), always(after(1, Reaction::Reset));
    said_421_after_the_greeting_once: "says 421 and leaves after the greeting, once" => Whole, once(after(1, leaves()));
    said_421_after_the_greeting_always: "says 421 and leaves after the greeting, always" => Fails(1, "connecting: 421 Going down."), always(after(1, leaves()));
    closed_after_user_once: "closes the control connection after the reply to USER, once" => Whole, once(after(2, Reaction::Close));
    closed_after_user_always: "closes the control connection after the reply to USER, always" => Fails(1, "connecting: connection closed by the server"), always(after(2, Reaction::Close));
    reset_after_user_once: "resets the control connection after the reply to USER, once" => Whole, once(after(2, Reaction::Reset));
    reset_after_user_always: "resets the control connection after the reply to USER, always" => Fails(1, "connecting: connection reset by the server"), always(after(2, Reaction::Reset));
    said_421_after_user_once: "says 421 and leaves after the reply to USER, once" => Whole, once(after(2, leaves()));
    said_421_after_user_always: "says 421 and leaves after the reply to USER, always" => Fails(1, "connecting: 421 Going down."), always(after(2, leaves()));
    closed_after_pass_once: "closes the control connection after the reply to PASS, once" => Whole, once(after(3, Reaction::Close));
    closed_after_pass_always: "closes the control connection after the reply to PASS, always" => Fails(1, "connecting: connection closed by the server"), always(after(3, Reaction::Close));
    reset_after_pass_once: "resets the control connection after the reply to PASS, once" => Whole, once(after(3, Reaction::Reset));
    reset_after_pass_always: "resets the control connection after the reply to PASS, always" => Fails(1, "connecting: connection reset by the server"), always(after(3, Reaction::Reset));
    said_421_after_pass_once: "says 421 and leaves after the reply to PASS, once" => Whole, once(after(3, leaves()));
    said_421_after_pass_always: "says 421 and leaves after the reply to PASS, always" => Fails(1, "connecting: 421 Going down."), always(after(3, leaves()));
    closed_after_type_once: "closes the control connection after the reply to TYPE, once" => Whole, once(after(4, Reaction::Close));
    closed_after_type_always: "closes the control connection after the reply to TYPE, always" => Fails(1, "connecting: connection closed by the server"), always(after(4, Reaction::Close));
    reset_after_type_once: "resets the control connection after the reply to TYPE, once" => Whole, once(after(4, Reaction::Reset));
    reset_after_type_always: "resets the control connection after the reply to TYPE, always" => Fails(1, "connecting: connection reset by the server"), always(after(4, Reaction::Reset));
    said_421_after_type_once: "says 421 and leaves after the reply to TYPE, once" => Whole, once(after(4, leaves()));
    said_421_after_type_always: "says 421 and leaves after the reply to TYPE, always" => Fails(1, "connecting: 421 Going down."), always(after(4, leaves()));
    closed_after_size_once: "closes the control connection after the reply to SIZE, once" => Whole, once(after(5, Reaction::Close));
    closed_after_size_always: "closes the control connection after the reply to SIZE, always" => Fails(1, "connecting: connection closed by the server"), always(after(5, Reaction::Close));
    reset_after_size_once: "resets the control connection after the reply to SIZE, once" => Whole, once(after(5, Reaction::Reset));
    reset_after_size_always: "resets the control connection after the reply to SIZE, always" => Fails(1, "connecting: connection reset by the server"), always(after(5, Reaction::Reset));
    said_421_after_size_once: "says 421 and leaves after the reply to SIZE, once" => Whole, once(after(5, leaves()));
    said_421_after_size_always: "says 421 and leaves after the reply to SIZE, always" => Fails(1, "connecting: 421 Going down."), always(after(5, leaves()));
    closed_after_mdtm_once: "closes the control connection after the reply to MDTM, once" => Whole, once(after(6, Reaction::Close));
    closed_after_mdtm_always: "closes the control connection after the reply to MDTM, always" => Fails(1, "connecting: connection closed by the server"), always(after(6, Reaction::Close));
    reset_after_mdtm_once: "resets the control connection after the reply to MDTM, once" => Whole, once(after(6, Reaction::Reset));
    reset_after_mdtm_always: "resets the control connection after the reply to MDTM, always" => Fails(1, "connecting: connection reset by the server"), always(after(6, Reaction::Reset));
    said_421_after_mdtm_once: "says 421 and leaves after the reply to MDTM, once" => Whole, once(after(6, leaves()));
    said_421_after_mdtm_always: "says 421 and leaves after the reply to MDTM, always" => Fails(1, "connecting: 421 Going down."), always(after(6, leaves()));
    closed_after_epsv_once: "closes the control connection after the reply to EPSV, once" => Whole, once(after(7, Reaction::Close));
    closed_after_epsv_always: "closes the control connection after the reply to EPSV, always" => Fails(1, "connecting: connection closed by the server"), always(after(7, Reaction::Close));
    reset_after_epsv_once: "resets the control connection after the reply to EPSV, once" => Whole, once(after(7, Reaction::Reset));
    reset_after_epsv_always: "resets the control connection after the reply to EPSV, always" => Fails(1, "connecting: connection reset by the server"), always(after(7, Reaction::Reset));
    said_421_after_epsv_once: "says 421 and leaves after the reply to EPSV, once" => Whole, once(after(7, leaves()));
    said_421_after_epsv_always: "says 421 and leaves after the reply to EPSV, always" => Fails(1, "connecting: 421 Going down."), always(after(7, leaves()));
    closed_after_the_mark_once: "closes the control connection after the 150, once" => Whole, once(after(8, Reaction::Close)).over(&["1"]);
    closed_after_the_mark_always: "closes the control connection after the 150, always" => Fails(1, "connecting: connection closed by the server"), always(after(8, Reaction::Close)).over(&["1"]);
    reset_after_the_mark_once: "resets the control connection after the 150, once" => Whole, once(after(8, Reaction::Reset)).over(&["1"]);
    reset_after_the_mark_always: "resets the control connection after the 150, always" => Fails(1, "connecting: connection reset by the server"), always(after(8, Reaction::Reset)).over(&["1"]);
    said_421_after_the_mark_once: "says 421 and leaves after the 150, once" => Whole, once(after(8, leaves())).over(&["1"]);
    said_421_after_the_mark_always: "says 421 and leaves after the 150, always" => Fails(1, "connecting: 421 Going down."), always(after(8, leaves())).over(&["1"]);
    closed_after_the_completion_once: "closes the control connection after the 226, once" => Whole, once(after(9, Reaction::Close)).over(&["1"]);
    closed_after_the_completion_always: "closes the control connection after the 226, always" => Whole, always(after(9, Reaction::Close)).over(&["1"]);
    reset_after_the_completion_once: "resets the control connection after the 226, once" => Whole, once(after(9, Reaction::Reset)).over(&["1"]);
    reset_after_the_completion_always: "resets the control connection after the 226, always" => Either(1, "connecting: connection reset by the server"), always(after(9, Reaction::Reset)).over(&["1"]);
    said_421_after_the_completion_once: "says 421 and leaves after the 226, once" => Whole, once(after(9, leaves())).over(&["1"]);
    said_421_after_the_completion_always: "says 421 and leaves after the 226, always" => Whole, always(after(9, leaves())).over(&["1"]);
}
