//! Any sequence of calls to a session, and to a link: what they never do.

use ftp_proto::{Change, Channel, Request, Retrieve, Until};
use pftp_tests::fuzzing::op::{CHANGES, Case, DEPTHS, Op, REPLIES, Said, Setup, commands, path};
use pftp_tests::fuzzing::{link, session};
use proptest::prelude::*;
use proptest::sample::select;

fn until() -> impl Strategy<Value = Until> {
    prop_oneof![Just(Until::Eof), (0..40_u64).prop_map(Until::Size), (0..40_u64).prop_map(Until::Offset)]
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        2 => Just(Request::Facts(path(0))),
        2 => select(commands().to_vec()).prop_map(Request::Command),
        1 => (0..40_u64).prop_map(|most| Request::content(path(0), most)),
        1 => Just(Request::Prepare),
        6 => (0..30_u64, until())
            .prop_map(|(offset, until)| Request::Retrieve(Retrieve::new(path(0), offset, until))),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let reply = select(REPLIES).prop_map(|text| Said(format!("{text}\r\n").into_bytes()));
    let hostile = prop_oneof![
        4 => reply.clone().prop_map(Op::Server),
        2 => (reply.clone(), reply, 0..9_usize).prop_map(|(one, two, cut)| {
            let mut bytes = [one.0, two.0].concat();
            bytes.truncate(bytes.len().saturating_sub(cut));
            Op::Server(Said(bytes))
        }),
        1 => any::<Vec<u8>>().prop_map(Said).prop_map(Op::Server),
        2 => select(&CHANGES[..]).prop_map(|change| Op::Change(Channel::Control, change)),
        1 => Just(Op::Wait(0)),
        1 => Just(Op::Quit),
    ];
    prop_oneof![
        100 => Just(Op::Answer),
        16 => any::<u8>().prop_map(Op::Refuse),
        30 => Just(Op::Change(Channel::Data, Change::Connected)),
        10 => select(&CHANGES[..]).prop_map(|change| Op::Change(Channel::Data, change)),
        40 => (0..20_u64).prop_map(Op::Received),
        1 => any::<u64>().prop_map(Op::Received),
        40 => request().prop_map(Op::Request),
        20 => (0..12_u64, until()).prop_map(|(id, until)| Op::SetEnd(id, until)),
        6 => (1..40_000_u64).prop_map(Op::Wait),
        6 => (0..20_usize).prop_map(Op::Send),
        6 => hostile,
    ]
}

/// A session that has come some way, and what happens to it then.
fn case() -> impl Strategy<Value = Case> {
    let setup = (0..DEPTHS.len() as u8, 0..64_u8, prop_oneof![3 => Just(0), 1 => 1..20_u64], 0..200_u64)
        .prop_map(|(depth, flags, overlap, room)| Setup { depth, flags, overlap, room });
    let greeted = prop::bool::weighted(0.9);
    (setup, greeted, 0..20_usize, prop::collection::vec(op(), 0..90)).prop_map(
        |(setup, greeted, answered, ops)| {
            let mut all = Vec::new();
            if greeted {
                all.push(Op::Change(Channel::Control, Change::Connected));
                all.push(Op::Server(Said(b"220 hi\r\n".to_vec())));
                all.resize_with(all.len() + answered, || Op::Answer);
            }
            all.extend(ops);
            Case { setup, ops: all }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_breaks_a_session(case in case()) {
        session::run(&case);
    }

    #[test]
    fn a_sink_gets_what_was_asked_for_and_nothing_else(case in case()) {
        link::run(&case);
    }

    #[test]
    fn a_case_is_read_as_it_was_written(case in case()) {
        prop_assert_eq!(format!("{:?}", Case::decode(&case.encode())), format!("{case:?}"));
    }
}
