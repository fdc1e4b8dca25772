//! The server falls silent after every step; the connections stay open.

use crate::table::Outcome::{Fails, Whole};
use crate::table::*;

fn silent_after(replies: u32) -> Behaviour {
    Behaviour::default().when(Trigger::Replies(replies), Reaction::Hang)
}

rows! {
    silent_from_the_start_once: "takes the connection and says nothing, once" => Whole, once(Behaviour::default().when(Trigger::Accepted, Reaction::Hang)).in_silence();
    silent_from_the_start_always: "takes every connection and says nothing" => Fails(7, "within the time limit"), always(Behaviour::default().when(Trigger::Accepted, Reaction::Hang)).in_silence();
    silent_after_the_greeting_once: "says nothing more after the greeting, once" => Whole, once(silent_after(1)).in_silence();
    silent_after_the_greeting_always: "says nothing more after the greeting, always" => Fails(7, "within the time limit"), always(silent_after(1)).in_silence();
    silent_after_user_once: "says nothing more after the reply to USER, once" => Whole, once(silent_after(2)).in_silence();
    silent_after_user_always: "says nothing more after the reply to USER, always" => Fails(7, "within the time limit"), always(silent_after(2)).in_silence();
    silent_after_pass_once: "says nothing more after the reply to PASS, once" => Whole, once(silent_after(3)).in_silence();
    silent_after_pass_always: "says nothing more after the reply to PASS, always" => Fails(7, "within the time limit"), always(silent_after(3)).in_silence();
    silent_after_type_once: "says nothing more after the reply to TYPE, once" => Whole, once(silent_after(4)).in_silence();
    silent_after_type_always: "says nothing more after the reply to TYPE, always" => Fails(7, "within the time limit"), always(silent_after(4)).in_silence();
    silent_after_size_once: "says nothing more after the reply to SIZE, once" => Whole, once(silent_after(5)).in_silence();
    silent_after_size_always: "says nothing more after the reply to SIZE, always" => Fails(7, "within the time limit"), always(silent_after(5)).in_silence();
    silent_after_mdtm_once: "says nothing more after the reply to MDTM, once" => Whole, once(silent_after(6)).in_silence();
    silent_after_mdtm_always: "says nothing more after the reply to MDTM, always" => Fails(7, "within the time limit"), always(silent_after(6)).in_silence();
    silent_after_epsv_once: "says nothing more after the reply to EPSV, once" => Whole, once(silent_after(7)).in_silence();
    silent_after_epsv_always: "says nothing more after the reply to EPSV, always" => Fails(7, "within the time limit"), always(silent_after(7)).in_silence();
    silent_after_the_mark_once: "says nothing more after the 150, once" => Whole, once(silent_after(8)).in_silence().over(&["1"]);
    silent_after_the_mark_always: "says nothing more after the 150, always" => Whole, always(silent_after(8)).in_silence().over(&["1"]);
    silent_after_the_completion_once: "says nothing more after the 226, once" => Whole, once(silent_after(9)).in_silence().over(&["1"]);
    silent_after_the_completion_always: "says nothing more after the 226, always" => Whole, always(silent_after(9)).in_silence().over(&["1"]);
}
