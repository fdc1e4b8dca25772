//! The transports as libraries: every case over each of them.

#[path = "transport/deadlines.rs"]
mod deadlines;
#[path = "transport/ends.rs"]
mod ends;
#[path = "transport/neighbours.rs"]
mod neighbours;
#[path = "transport/sessions.rs"]
mod sessions;
#[path = "transport/support.rs"]
mod support;
#[path = "transport/urgent.rs"]
mod urgent;

/// The tests: a module for each transport.
mod over {
    macro_rules! transports {
        ($($module:ident $transport:ident)*) => {
            $(
                mod $module {
                    cases! {
                        $transport:
                        deadlines::{a_connect_that_hangs each_deadline_ends_its_session}
                        ends::{
                            a_drop_ends_sessions_in_order
                            a_port_where_nobody_listens_is_reported
                            a_session_that_is_closed_says_so_once_and_takes_nothing_more
                            to_abandon_ends_sessions_too
                        }
                        neighbours::{
                            one_floods_with_negotiation
                            one_floods_with_replies
                            one_hangs_in_a_dialogue
                            one_is_quicker_than_its_sink
                            one_is_reset
                            one_stalls
                        }
                        sessions::{
                            a_waker_wakes_a_busy_transport
                            a_waker_wakes_from_another_thread
                            ipv6
                            misuse_is_reported_and_the_session_goes_on
                            nothing_happens_until_a_time
                            parts_side_by_side_and_one_after_the_other
                            sinks_of_their_own
                            the_end_of_a_part_can_be_moved
                        }
                        urgent::{urgent_data_are_a_part_of_the_file}
                    }
                }
            )*
        };
    }

    macro_rules! cases {
        ($transport:ident: $($file:ident::{$($case:ident)*})*) => {
            $($(
                #[test]
                fn $case() {
                    crate::$file::$case::<crate::support::$transport>();
                }
            )*)*
        };
    }

    transports!(std Std mio Mio);
}
