//! Dialogs between a session and a server, played to [`ftp_proto::Session`]: see `src/dialog.rs` for the
//! form of the files in `tests/dialogs`.

#[path = "dialogs/run.rs"]
mod run;

use std::collections::BTreeSet;
use std::path::Path;

use pftp_tests::dialog::Script;
use run::{Portions, run};

fn directory() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/dialogs"))
}

/// Plays the dialog three times, the bytes of the control connection portioned in three ways.
fn play(name: &str) {
    let path = directory().join(name).with_extension("ftp");
    let text = std::fs::read_to_string(&path).expect("a dialog that can be read");
    let path = path.display();
    let script = match Script::parse(&text) {
        Ok(script) => script,
        Err((line, why)) => panic!("{path}:{line}: {why}"),
    };
    let transcripts = [Portions::Lines, Portions::Bytes, Portions::Glued].map(|portions| {
        run(&script, portions).unwrap_or_else(|fault| {
            let item = text.lines().nth(fault.line.saturating_sub(1)).unwrap_or_default();
            let (line, expected, got) = (fault.line, fault.expected, fault.got);
            panic!("{path}:{line} ({portions:?}): {item}\nexpected: {expected}\n     got: {got}\n")
        })
    });
    assert!(transcripts.iter().all(|transcript| transcript == &transcripts[0]), "{transcripts:#?}");
}

macro_rules! dialogs {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                play(stringify!($name));
            }
        )*
    };
}

#[test]
fn every_dialog_is_played() {
    let entries = std::fs::read_dir(directory()).expect("a directory");
    let files = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    let files: BTreeSet<String> = files.map(|file| file.trim_end_matches(".ftp").to_owned()).collect();
    let listed: BTreeSet<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(files, listed, "left: the files; right: those that are played");
}

dialogs! {
    aborted
    aborted_before_data
    aborted_without_mark
    account_after_password
    account_after_user
    account_in_burst
    account_missing
    account_refused
    ascii
    burst
    burst_answered_twice
    burst_closed
    burst_dropped
    burst_not_understood
    burst_of_a_transfer_dropped
    burst_of_four
    burst_reset
    commands
    commands_in_burst
    completion_and_421
    completion_and_426
    completion_and_426_before_data_end
    completion_and_control_closed
    completion_and_nonsense
    completion_and_silence
    completion_before_data_connected
    completion_before_data_end
    completion_twice_before_data_end
    completion_without_data
    connect_refused
    content
    content_refused
    content_too_long
    cut
    cut_after_completion
    cut_and_epsv_fails
    cut_closed
    cut_closed_in_the_next_burst
    cut_in_time
    cut_pure_ftpd
    cut_replies_without_end
    cut_silence
    cut_then_421
    cut_then_command
    cut_then_facts
    cut_then_nothing
    cut_twice_answered
    cut_unanswered
    cut_without_mark
    data_reset
    data_reset_at_size
    empty_file
    end_and_control_closed
    end_of_nothing_and_421
    end_of_nothing_and_control_closed
    end_of_nothing_and_silence
    end_reset_and_control_closed
    end_too_early_and_control_closed
    epsv_nonsense
    epsv_nonsense_in_burst
    epsv_over_ipv6
    epsv_refused
    epsv_refused_in_burst
    epsv_refused_in_burst_503
    epsv_refused_in_burst_marked
    epsv_refused_with_rest_under_way
    extend
    extend_after_the_cut
    facts_by_mlst
    facts_by_mlst_after_transfer
    facts_by_mlst_before_epsv
    facts_by_mlst_behind_rest
    facts_by_mlst_beside_rest
    facts_by_mlst_of_two
    facts_by_mlst_without_end
    facts_nonsense
    facts_refused
    features
    features_unknown
    features_without_end
    greeting_421
    greeting_closed
    greeting_delayed
    greeting_delayed_without_end
    greeting_strange
    idle_421
    idle_control_closed
    lock_step
    lock_step_closed
    login_busy
    mark_after_data
    mark_twice
    marks_without_end
    no_mark
    overlap
    overrun
    overrun_allowed
    overrun_by_one
    passive_refused
    passive_refused_in_burst
    pasv_and_rest_refused_two_at_a_time
    pasv_names_a_foreign_host
    pasv_names_a_trusted_host
    pasv_names_no_host
    pasv_nonsense
    pasv_trusted_over_ipv6
    preliminary_without_end
    prepare
    prepare_after_a_cut
    prepare_and_425
    prepare_and_bytes
    prepare_and_closed
    prepare_and_wait_for_the_turn
    prepare_connect_hangs
    prepare_connect_refused
    prepare_epsv_refused
    prepare_for_content
    prepare_in_lock_step
    prepare_refused
    prepare_twice
    prepare_while_under_way
    quit_after_cut
    quit_connecting
    quit_greeting
    quit_login
    quit_login_in_lock_step
    quit_ready
    quit_spoiled
    quit_transfer
    range_empty
    ranges
    reply_after_too_many_empty_lines
    reply_malformed
    reply_odd
    reply_of_too_many_lines
    reply_too_long
    requests_before_and_after_ready
    rest_out_of_step
    rest_out_of_step_cut_not_answered
    rest_refused
    rest_refused_in_burst
    rest_refused_in_burst_data_first
    rest_refused_in_burst_no_mark
    rest_refused_in_burst_while_dialling
    rest_unknown_in_burst
    rest_strange
    retr_not_known
    retr_out_of_step
    retr_refused
    retr_refused_after_data_ended
    retr_refused_after_data_refused
    retr_refused_before_data_connected
    retr_strange
    retr_transient
    secret_echoed
    secret_echoed_in_no_reply
    secret_echoed_too_short
    secret_of_digits_echoed
    secret_of_digits_echoed_in_no_reply
    short
    short_of_the_range
    set_end_after_end
    set_end_before_data
    set_end_before_mark
    set_end_behind
    set_end_queued
    set_end_refused
    set_end_running
    set_end_to_a_smaller_size
    set_end_to_before_its_start
    spoiled_and_closed
    spoiled_and_ended
    spoiled_and_set_end
    spoiled_twice
    stale_restart
    stale_restart_after_epsv
    timer_completion
    timer_completion_before_data
    timer_connect
    timer_data_connect
    timer_data_refused
    timer_greeting
    timer_login
    timer_login_ends_with_it
    timer_login_in_lock_step
    timer_reply
    timer_spoiled
    timer_stall
    timer_stall_starts_with_the_window
    trace
    transfer_421
    transfer_control_closed
    type_refused
    unsolicited
    unsolicited_after_burst
    unsolicited_after_transfer
    user_refused
    user_suffices
    user_suffices_bad_sequence
    user_suffices_pure_ftpd
    wrong_password
    wrong_password_in_lock_step
}
