//! The data connection ends, or stalls, before the file does.

use crate::table::Outcome::{Either, Fails, Whole};
use crate::table::*;

fn told(after: u64) -> Cut {
    Cut::told(after)
}

fn lying(after: u64) -> Cut {
    Cut::lying(after)
}

fn closed(after: u64) -> Cut {
    Cut::silent(after, Interruption::Fin)
}

fn reset(after: u64) -> Cut {
    Cut::silent(after, Interruption::Reset)
}

fn stalled(after: u64) -> Cut {
    Cut::silent(after, Interruption::Stall)
}

/// Cuts the first transfer of the first session.
fn first(cut: Cut) -> Hostile {
    once(Behaviour::default().when(Trigger::nth("RETR", 1), Reaction::Cut(cut)))
}

/// Cuts every transfer.
fn each(cut: Cut) -> Hostile {
    always(Behaviour::default().cutting_every(cut))
}

rows! {
    told_at_0_once: "ends a transfer after 0 bytes and says 426, once" => Whole, first(told(0));
    told_at_0_always: "ends each transfer after 0 bytes and says 426" => Fails(7, "the server ended the transfer at byte"), each(told(0));
    told_at_1_once: "ends a transfer after 1 byte and says 426, once" => Whole, first(told(1));
    told_at_1_always: "ends each transfer after 1 byte and says 426" => Fails(7, "the server ended the transfer at byte"), each(told(1));
    told_at_half_once: "ends a transfer after half of the file and says 426, once" => Whole, first(told(SIZE / 2));
    told_at_half_always: "ends each transfer after half of the file and says 426" => Whole, each(told(SIZE / 2));
    told_at_all_but_1_once: "ends a transfer after all bytes but one and says 426, once" => Whole, first(told(SIZE - 1));
    told_at_all_but_1_always: "ends each transfer after all bytes but one and says 426" => Whole, each(told(SIZE - 1));
    lying_at_0_once: "ends a transfer after 0 bytes and says 226, once" => Whole, first(lying(0));
    lying_at_0_always: "ends each transfer after 0 bytes and says 226" => Fails(8, "the server ended the transfer at byte"), each(lying(0));
    lying_at_1_once: "ends a transfer after 1 byte and says 226, once" => Whole, first(lying(1));
    lying_at_1_always: "ends each transfer after 1 byte and says 226" => Fails(8, "the server ended the transfer at byte"), each(lying(1));
    lying_at_half_once: "ends a transfer after half of the file and says 226, once" => Whole, first(lying(SIZE / 2));
    lying_at_half_always: "ends each transfer after half of the file and says 226" => Whole, each(lying(SIZE / 2));
    lying_at_all_but_1_once: "ends a transfer after all bytes but one and says 226, once" => Whole, first(lying(SIZE - 1));
    lying_at_all_but_1_always: "ends each transfer after all bytes but one and says 226" => Whole, each(lying(SIZE - 1));
    closed_at_0_once: "closes the data connection after 0 bytes and says nothing, once" => Whole, first(closed(0)).in_silence();
    closed_at_0_always: "closes the data connection after 0 bytes and says nothing" => Fails(7, "no completion reply within the time limit"), each(closed(0)).in_silence();
    closed_at_1_once: "closes the data connection after 1 byte and says nothing, once" => Whole, first(closed(1)).in_silence();
    closed_at_1_always: "closes the data connection after 1 byte and says nothing" => Fails(7, "no completion reply within the time limit"), each(closed(1)).in_silence();
    closed_at_half_once: "closes the data connection after half of the file and says nothing, once" => Whole, first(closed(SIZE / 2)).in_silence();
    closed_at_half_always: "closes the data connection after half of the file and says nothing" => Whole, each(closed(SIZE / 2)).in_silence();
    closed_at_all_but_1_once: "closes the data connection after all bytes but one and says nothing, once" => Whole, first(closed(SIZE - 1)).in_silence();
    closed_at_all_but_1_always: "closes the data connection after all bytes but one and says nothing" => Whole, each(closed(SIZE - 1)).in_silence();
    reset_at_0_once: "resets the data connection after 0 bytes and says nothing, once" => Whole, first(reset(0)).in_silence();
    reset_at_0_always: "resets the data connection after 0 bytes and says nothing" => Fails(7, ""), each(reset(0)).in_silence();
    reset_at_1_once: "resets the data connection after 1 byte and says nothing, once" => Whole, first(reset(1)).in_silence();
    reset_at_1_always: "resets the data connection after 1 byte and says nothing" => Fails(7, ""), each(reset(1)).in_silence();
    reset_at_half_once: "resets the data connection after half of the file and says nothing, once" => Whole, first(reset(SIZE / 2)).in_silence();
    reset_at_half_always: "resets the data connection after half of the file and says nothing" => Either(7, ""), each(reset(SIZE / 2)).in_silence();
    reset_at_all_but_1_once: "resets the data connection after all bytes but one and says nothing, once" => Whole, first(reset(SIZE - 1)).in_silence();
    reset_at_all_but_1_always: "resets the data connection after all bytes but one and says nothing" => Either(7, ""), each(reset(SIZE - 1)).in_silence();
    stalled_at_0_once: "sends nothing more after 0 bytes, once" => Whole, first(stalled(0)).in_silence();
    stalled_at_0_always: "sends nothing more after 0 bytes" => Fails(7, "no data within the time limit"), each(stalled(0)).in_silence();
    stalled_at_1_once: "sends nothing more after 1 byte, once" => Whole, first(stalled(1)).in_silence();
    stalled_at_1_always: "sends nothing more after 1 byte" => Fails(7, "no data within the time limit"), each(stalled(1)).in_silence();
    stalled_at_half_once: "sends nothing more after half of the file, once" => Whole, first(stalled(SIZE / 2)).in_silence();
    stalled_at_half_always: "sends nothing more after half of the file" => Whole, each(stalled(SIZE / 2)).in_silence();
    stalled_at_all_but_1_once: "sends nothing more after all bytes but one, once" => Whole, first(stalled(SIZE - 1)).in_silence();
    stalled_at_all_but_1_always: "sends nothing more after all bytes but one" => Whole, each(stalled(SIZE - 1)).in_silence();
}
