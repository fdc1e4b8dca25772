//! Sessions that are ready for when another has come to its end.

use super::{Download, NAME, SIZE, hear, reply, resolved, server, two_fetch, wanted, write};
use ftp_proto::{Command, Event, Finish, Instant, Report, Request, RequestId, SessionId, Until};
use pftp::plan::{Directive, Planner};
use pftp_tests::sim::settings;
use std::convert::Infallible;
use std::time::Duration;

/// A download from two mirrors, of which the first has the first two of three sessions; and what the second of those has been
/// asked when all are logged in.
fn from_two() -> (Download, Vec<Request>) {
    let servers = [server(1), server(2)];
    let (mut download, wanted) = Download::begin(resolved(settings(&servers, NAME, 3), &servers), 3);
    let asked = of_second(wanted);
    // While nothing comes, that is how long the server takes to answer.
    answer(&mut download, noop(&asked).expect("it is asked once at rest"), 40);
    let prepare = asked.iter().find(|(_, request)| matches!(request, Request::Prepare)).map(|(id, _)| *id);
    download.now += 40;
    download.hear(SECOND, Event::Prepared(prepare.expect("a data connection ahead")));
    download.hear(SessionId(1), Event::Started(RequestId(2)));
    (download, requests(asked))
}

const SECOND: SessionId = SessionId(2);

/// What is asked of the second session.
fn of_second(wanted: Vec<Directive>) -> Vec<(RequestId, Request)> {
    let of = |directive| match directive {
        Directive::Request(SECOND, id, request) => Some((id, request)),
        _ => None,
    };
    wanted.into_iter().filter_map(of).collect()
}

/// The second session has its answer so many milliseconds later. What it is asked then.
fn answer(download: &mut Download, id: RequestId, takes: u64) -> Vec<Request> {
    download.now += takes;
    requests(of_second(download.hear(SECOND, Event::Reply(id, reply("200 Here.")))))
}

/// The first session gets no faster, until the second is asked whether the path is full. What that is asked when it has the
/// answer, which takes so many milliseconds.
fn ask(download: &mut Download, answer_takes: u64) -> Vec<Request> {
    for _ in 0..100 {
        if let Some(id) = noop(&of_second(download.go_on(100_000))) {
            return answer(download, id, answer_takes);
        }
    }
    panic!("nobody looks whether the path is full");
}

fn noop(asked: &[(RequestId, Request)]) -> Option<RequestId> {
    let is_noop = |(_, request): &&(RequestId, Request)| matches!(request, Request::Command(Command::Noop));
    asked.iter().find(is_noop).map(|(id, _)| *id)
}

fn requests(asked: Vec<(RequestId, Request)>) -> Vec<Request> {
    asked.into_iter().map(|(_, request)| request).collect()
}

fn fetches(asked: &[Request]) -> bool {
    asked.iter().any(|request| matches!(request, Request::Retrieve(_)))
}

/// Both connections to a mirror began at once, and on a full path made each other lose.
#[test]
fn a_second_connection_to_one_of_several_mirrors_waits_until_the_path_has_shown_room() {
    let (mut download, asked) = from_two();
    assert!(!fetches(&asked), "{asked:?}");
    let asked = ask(&mut download, 41);
    assert!(fetches(&asked), "{asked:?}");
    let (mut download, _) = from_two();
    let asked = ask(&mut download, 90);
    assert!(!fetches(&asked), "{asked:?}");
}

/// What was under way when a transfer was cut still filled the queue, and the first packets of the next were lost in it.
#[test]
fn who_takes_over_waits_until_the_queue_has_drained() {
    let (mut download, _) = from_two();
    ask(&mut download, 90);
    let at_once = download.hear(SessionId(1), Event::Finished(RequestId(2), Finish::Cut));
    assert!(!fetches(&requests(of_second(at_once))));
    download.now += 19;
    download.planner.handle_timeout(download.at());
    let asked = requests(of_second(wanted(&mut download.planner)));
    assert!(!fetches(&asked), "{asked:?}");
    // Half a round trip: the server has heard of the cut.
    download.now += 1;
    assert_eq!(download.planner.poll_timeout(), Some(download.at()));
    download.planner.handle_timeout(download.at());
    let asked = requests(of_second(wanted(&mut download.planner)));
    assert!(fetches(&asked), "{asked:?}");
}

#[test]
fn a_session_that_has_nothing_to_do_makes_a_data_connection_ahead_and_no_second_one() {
    let mut planner = two_fetch(SIZE);
    write(&mut planner, 1, 0..SIZE / 2);
    write(&mut planner, 2, SIZE / 2..SIZE - 1000);
    let asked = |planner: &mut Planner| {
        let all = wanted(planner);
        all.iter().filter(|it| matches!(it, Directive::Request(_, _, Request::Prepare))).count()
    };
    assert_eq!(asked(&mut planner), 0);
    hear(&mut planner, 1, Event::Finished(RequestId(2), Finish::Cut));
    assert_eq!(asked(&mut planner), 1);
    planner.handle_timeout(Instant(Duration::from_millis(200)));
    assert_eq!(asked(&mut planner), 0);
}

/// A transfer that had most of the path was at its end, and the other had yet to get what it had left: that was taken for
/// collapsed, and made to begin anew, so that for a while nobody had anything.
#[test]
fn a_transfer_gets_no_fresh_data_connection_while_another_is_about_to_begin() {
    let mut planner = two_fetch(64 << 20);
    let at = |millis| Instant(Duration::from_millis(millis));
    let tell = |planner: &mut Planner, id, event, millis| {
        planner.handle(&Report::<Infallible>::Event(SessionId(id), event), at(millis));
    };
    let mut positions = [0, 0, 32 << 20];
    let mut bring = |planner: &mut Planner, id: usize, bytes: u64, millis| {
        let (start, end) = (positions[id], positions[id] + bytes);
        positions[id] = end;
        let id = SessionId(u64::try_from(id).unwrap());
        planner.handle(&Report::<Infallible>::Written(id, RequestId(0), start..end), at(millis));
        end
    };
    let cut = |planner: &mut Planner, position| {
        wanted(planner).iter().any(|directive| {
            matches!(directive, Directive::Shrink(SessionId(1), _, Until::Offset(end)) if *end == position)
        })
    };
    for id in 1..=2 {
        tell(&mut planner, id, Event::Started(RequestId(2)), 100);
    }
    for millis in (100..1700).step_by(50) {
        bring(&mut planner, 1, 100_000, millis + 50);
        bring(&mut planner, 2, 1 << 20, millis + 50);
    }
    // The second is done with its part, and is given a tail of what the first has.
    tell(&mut planner, 2, Event::Finished(RequestId(2), Finish::Whole { at: 64 << 20 }), 1700);
    wanted(&mut planner);
    for millis in (1750..=2150).step_by(50) {
        let position = bring(&mut planner, 1, 1000, millis);
        assert!(!cut(&mut planner, position), "at {millis} ms");
    }
    // It had its time, and more.
    let late = (2200..=4000).step_by(50).any(|millis| {
        let position = bring(&mut planner, 1, 1000, millis);
        cut(&mut planner, position)
    });
    assert!(late, "one that never begins is not waited for");
}
