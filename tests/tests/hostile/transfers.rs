//! Transfers whose replies come early, late, twice or never.

use std::io::{self, Write as _};
use std::time::Duration;

use crate::table::Outcome::{Either, Fails, Whole};
use crate::table::*;

/// A server that answers RETR like this.
fn retr(answer: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static) -> Hostile {
    odd(move |peer, command| {
        let is_retr = command.starts_with("RETR");
        if is_retr {
            answer(peer)?;
        }
        Ok(is_retr)
    })
}

/// A server with these replies before and after the data.
fn around(before: &'static str, behind: &'static str) -> Hostile {
    retr(move |peer| {
        let mut data = peer.data()?;
        peer.say(before)?;
        data.write_all(&peer.wanted())?;
        drop(data);
        peer.say(behind)
    })
}

/// A delay below the time limit.
const LATE: Duration = Duration::from_millis(300);

rows! {
    completion_before_the_data: "says 150 and 226 in one segment, before the data" => Whole,
        always(Behaviour { completion: Completion::BeforeData, ..Behaviour::default() });
    completion_among_the_data: "says 226 when half of the data is sent" => Whole,
        retr(|peer| {
            let mut data = peer.data()?;
            let wanted = peer.wanted();
            let (first, second) = wanted.split_at(wanted.len() / 2);
            peer.say("150 Here it comes.\r\n")?;
            data.write_all(first)?;
            peer.say("226 That was it.\r\n")?;
            data.write_all(second)
        });
    completion_late: "says 226 long after the data" => Whole,
        retr(|peer| {
            let mut data = peer.data()?;
            peer.say("150 Here it comes.\r\n")?;
            data.write_all(&peer.wanted())?;
            drop(data);
            std::thread::sleep(LATE);
            peer.say("226 That was it.\r\n")
        });
    completion_never: "never says 226" => Whole,
        always(Behaviour { completion: Completion::Never, ..Behaviour::default() }).in_silence();
    completion_after_the_client: "says 226 when the client has closed its side" => Whole, always(Behaviour::proftpd());
    completion_twice: "says 226 twice" => Whole, around("150 Here it comes.\r\n", "226 That was it.\r\n226 Really.\r\n");
    mark_missing: "says no 150" => Whole, around("", "226 That was it.\r\n");
    mark_twice: "says 150 twice" => Whole, around("150 Here.\r\n150 It comes.\r\n", "226 That was it.\r\n");
    mark_late: "says 150 behind the data" => Whole, around("", "150 Here it comes.\r\n226 That was it.\r\n");
    mark_and_completion_without_data: "says 150 and 226, and sends nothing" => Fails(8, ""),
        retr(|peer| {
            drop(peer.data()?);
            peer.say("150 Here it comes.\r\n226 That was it.\r\n")
        });
    completion_without_a_data_connection: "says 226, and never takes the data connection"
        => Fails(7, "no data within the time limit"),
        retr(|peer| peer.say("150 Here it comes.\r\n226 That was it.\r\n")).in_silence();
    data_connection_refused_after_all: "says 425 when the data connection is there" => Fails(7, "RETR was refused: 425 No."),
        retr(|peer| {
            drop(peer.data()?);
            peer.say("425 No.\r\n")
        });
    replies_without_end_behind_the_data: "says 226 without end" => Whole,
        retr(|peer| {
            let mut data = peer.data()?;
            peer.say("150 Here it comes.\r\n")?;
            data.write_all(&peer.wanted())?;
            drop(data);
            peer.flood("226 That was it.\r\n")
        });
    restart_ignored_over_one_connection: "says 350 to REST, and sends from the start; one connection" => Whole,
        always(Behaviour { ignores_rest: true, ..Behaviour::default() }).over(&["1"]);
    restart_ignored_over_several_connections: "says 350 to REST, and sends from the start; several connections"
        // The first transfer delivers the whole file if it ends before another begins.
        => Either(8, ""),
        always(Behaviour { ignores_rest: true, bytes_per_second: Some(1 << 20), ..Behaviour::default() }).over(&["3"]);
    restart_refused: "refuses REST" => Whole, always(Behaviour::default().without("REST"));
    data_dripped: "sends the file in packets of 1,000 bytes" => Whole,
        retr(|peer| {
            let mut data = peer.data()?;
            peer.say("150 Here it comes.\r\n")?;
            for piece in peer.wanted().chunks(1000) {
                data.write_all(piece)?;
            }
            drop(data);
            peer.say("226 That was it.\r\n")
        });
}
