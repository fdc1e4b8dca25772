use super::*;
use crate::arg::Arg;
use crate::parser::ReplyParser;
use alloc::format;

fn reply(line: &str) -> Reply {
    let mut parser = ReplyParser::new(100);
    parser.push(format!("{line}\r\n").as_bytes());
    parser.next().unwrap().unwrap()
}

/// The bytes from 0 to 10 of a file, of which so many have come.
fn running(control: Control, data: Data, bytes: u64, until: Until) -> Running {
    let command = Command::Retr(Arg::new("f").unwrap());
    let mut fetch = Fetch::new(RequestId(1), command, Target::Sink, until);
    fetch.progress = Progress { bytes, excess: 0, any: bytes > 0 };
    Running { fetch, control, data }
}

#[test]
fn a_step_follows_from_the_reply_and_the_data_connection() {
    let complete = || Control::Complete(reply("226 done"));
    let broken = || Control::Broken(reply("426 broken off"));
    let unconnected = || Control::Broken(reply("425 no connection"));
    let refused = || Control::Refused(reply("550 no"));
    let (fin, reset) = (Data::Ended(End::Fin), Data::Ended(End::Reset));
    let failed = Data::Failed(Cause::Refused);
    let (size, part) = (Until::Size(10), Until::Offset(10));
    let short = |at, line: &str| Step::Finish(Finish::Short { at, reply: reply(line) });
    let whole = |at| Step::Finish(Finish::Whole { at });
    for (control, data, bytes, until, expected) in [
        (Control::Silent, Data::Connecting, 0, part, Step::Wait),
        (Control::Silent, Data::Open, 9, part, Step::Wait),
        (Control::Silent, Data::Open, 10, part, Step::Cut),
        (Control::Silent, fin, 10, part, Step::Wait),
        (Control::Silent, failed, 0, part, Step::Wait),
        (Control::Marked, Data::Open, 9, part, Step::Wait),
        (Control::Marked, Data::Open, 10, part, Step::Cut),
        (Control::Marked, Data::Connecting, 0, Until::Offset(0), Step::Cut),
        (Control::Marked, Data::Open, 10, size, Step::Wait),
        (Control::Marked, fin, 10, part, Step::Wait),
        (complete(), Data::Connecting, 0, size, Step::Wait),
        (complete(), Data::Open, 10, size, Step::Wait),
        (complete(), Data::Open, 10, part, Step::Cut),
        (complete(), fin, 10, size, whole(10)),
        (complete(), reset, 10, size, whole(10)),
        (complete(), fin, 9, size, short(9, "226 done")),
        (complete(), fin, 9, part, short(9, "226 done")),
        (complete(), fin, 9, Until::Eof, whole(9)),
        (complete(), reset, 9, Until::Eof, short(9, "226 done")),
        (complete(), failed, 0, size, Step::Fail(Cause::Refused)),
        (refused(), Data::Connecting, 0, size, Step::Refuse(reply("550 no"))),
        (refused(), Data::Open, 0, size, Step::Refuse(reply("550 no"))),
        (refused(), fin, 0, size, Step::Refuse(reply("550 no"))),
        (broken(), Data::Connecting, 0, size, Step::Wait),
        (broken(), Data::Open, 9, size, Step::Wait),
        (broken(), Data::Open, 10, part, Step::Finish(Finish::Cut)),
        (broken(), reset, 9, size, short(9, "426 broken off")),
        (broken(), failed, 0, size, short(0, "426 broken off")),
        (unconnected(), Data::Connecting, 0, size, short(0, "425 no connection")),
    ] {
        let running = running(control, data, bytes, until);
        assert_eq!(running.step(), expected, "{running:?}");
    }
}

#[test]
fn content_is_whole_only_if_the_server_ended_it_in_order() {
    for (end, expected) in [(End::Fin, true), (End::Reset, false)] {
        let mut running = running(Control::Silent, Data::Ended(end), 3, Until::Offset(10));
        running.fetch.target = Target::Caller;
        assert_eq!(running.is_whole(end), expected);
    }
}
