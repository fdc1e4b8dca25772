use std::net::Ipv4Addr;

use super::*;
use crate::model::{Completion, Dialogue, File, Host, Interruption, Login, Mark, Model, Nth, Stats};

/// A session with a driver that needs no sockets: the data connection is there as soon as it is listened for.
struct Dialog {
    host: Host,
    session: ServerSession,
    now: Duration,
    connects: bool,
    actions: Vec<Action>,
}

impl Dialog {
    fn new(behaviour: Behaviour) -> Self {
        let tree = Tree::new()
            .with_login_directory("/home/user")
            .with("pub/f", File::bytes("0123456789").with_modified("20200102030405"))
            .with("/big", File::generated(1, 1_000_000))
            .with("/text", File::bytes("a\nb\n"));
        let mut host = Host::new(Model::new(tree).with_behaviour(behaviour));
        let (_, session) = host.accept(Duration::ZERO);
        Self { host, session, now: Duration::ZERO, connects: true, actions: Vec::new() }
    }

    fn logged_in(behaviour: Behaviour) -> Self {
        let mut dialog = Self::new(behaviour);
        dialog.say("USER anonymous\r\n");
        assert!(dialog.say("PASS x\r\n").contains("230 "));
        dialog
    }

    fn say(&mut self, bytes: &str) -> String {
        self.session.handle_control(bytes.as_bytes(), self.now);
        self.hear()
    }

    fn hear(&mut self) -> String {
        self.outputs();
        let text = String::from_utf8(self.session.transmit().to_vec()).expect("replies are text");
        self.session.transmitted(text.len(), self.now);
        text
    }

    fn outputs(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Event(event) => self.host.record(0, event),
                Output::Action(Action::Listen) => {
                    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1025));
                    self.session.handle_data(DataChange::Listening(address), self.now);
                    if self.connects {
                        self.session.handle_data(DataChange::Accepted, self.now);
                    }
                }
                Output::Action(action) => self.actions.push(action),
            }
        }
    }

    /// All payload that comes until the session waits for something other than time.
    fn data(&mut self) -> Vec<u8> {
        let mut payload = Vec::new();
        loop {
            let mut buffer = vec![0; self.session.data_window(self.now).min(5000)];
            let len = self.session.fill_data(&mut buffer);
            payload.extend_from_slice(&buffer[..len]);
            self.session.data_sent(len, self.now);
            self.outputs();
            if len == 0 {
                let Some(at) = self.session.poll_timeout() else { return payload };
                assert!(at > self.now, "a deadline in the past is a busy loop");
                self.now = at;
                self.session.handle_timeout(self.now);
            }
        }
    }

    fn stats(&self) -> &Stats {
        self.host.stats()
    }

    fn is_closed(&self) -> bool {
        self.actions.iter().any(|action| matches!(action, Action::CloseControl(_)))
    }
}

/// The codes of replies, in order; of a multi-line reply that of its last line.
fn codes(replies: &str) -> Vec<&str> {
    replies.lines().filter(|line| line.as_bytes().get(3) == Some(&b' ')).map(|line| &line[..3]).collect()
}

#[test]
fn login_in_lock_step() {
    let mut dialog = Dialog::new(Behaviour::default());
    assert_eq!(dialog.hear(), "220 model FTP server ready.\r\n");
    assert_eq!(dialog.say("PWD\r\n"), "530 Please login with USER and PASS.\r\n");
    assert_eq!(dialog.say("USER anonymous\r\n"), "331 Please specify the password.\r\n");
    assert_eq!(dialog.say("PASS me@\r\n"), "230 Login successful.\r\n");
    assert_eq!(dialog.say("pwd\n"), "257 \"/home/user\" is the current directory\r\n");
    assert_eq!(dialog.say("NONSENSE\r\n"), "500 Unknown command.\r\n");
    assert_eq!(dialog.say("QUIT\r\n"), "221 Goodbye.\r\n");
    assert_eq!(dialog.actions, [Action::CloseControl(Ending::Fin)]);
    assert_eq!((dialog.stats().logins(), dialog.stats().count("USER")), (1, 1));
    assert_eq!(dialog.stats().sessions[0].turns_to_data, 6);
}

#[test]
fn other_dialogues_of_login() {
    let mut login = Login::only("me", "secret");
    let mut dialog = Dialog::new(Behaviour { login: login.clone(), ..Behaviour::default() });
    assert_eq!(
        codes(&dialog.say("USER anonymous\r\nPASS x\r\nUSER me\r\nPASS wrong\r\n")),
        ["220", "331", "530", "331", "530"]
    );
    assert_eq!(codes(&dialog.say("PASS secret\r\nUSER me\r\nPASS secret\r\n")), ["503", "331", "230"]);

    login.dialogue = Dialogue::Account;
    let mut dialog = Dialog::new(Behaviour { login, ..Behaviour::default() });
    assert_eq!(
        codes(&dialog.say("USER me\r\nPASS secret\r\nPWD\r\nACCT x\r\n")),
        ["220", "331", "332", "530", "230"]
    );

    let mut dialog = Dialog::new(Behaviour::pure_ftpd());
    assert_eq!(codes(&dialog.say("USER anonymous\r\nPASS x\r\n")), ["220", "230", "230"]);
}

#[test]
fn a_burst_up_to_the_data_is_one_turn() {
    let mut dialog = Dialog::new(Behaviour::default());
    dialog.hear();
    let burst =
        "USER ftp\r\nPASS x\r\nTYPE I\r\nSIZE pub/f\r\nMDTM pub/f\r\nEPSV\r\nREST 4\r\nRETR pub/f\r\n";
    let replies = dialog.say(burst);
    assert_eq!(codes(&replies), ["331", "230", "200", "213", "213", "229", "350", "150"]);
    assert!(
        replies.contains("213 10\r\n213 20200102030405\r\n229 Entering Extended Passive Mode (|||1025|)\r\n")
    );
    assert_eq!(dialog.say("NOOP\r\n"), "", "commands wait for the end of the transfer");
    assert_eq!(dialog.data(), b"456789");
    assert_eq!(dialog.hear(), "226 Transfer complete.\r\n200 NOOP ok.\r\n");
    assert_eq!(dialog.actions, [Action::CloseData(Ending::Fin)]);
    let stats = dialog.stats();
    assert_eq!((stats.payload(), stats.data_connections(), stats.transfers[0].offset), (6, 1, 4));
    assert_eq!(stats.transfers[0].path, "/home/user/pub/f");
}

#[test]
fn commands_cut_anywhere_are_the_same() {
    let commands = "USER ftp\r\nPASS x\r\nEPSV\r\nREST 2\r\nRETR pub/f\r\n";
    let mut whole = Dialog::new(Behaviour::default());
    let expected = whole.say(commands);
    let mut dialog = Dialog::new(Behaviour::default());
    let replies: String = commands.chars().map(|byte| dialog.say(&byte.to_string())).collect();
    assert_eq!(replies, expected);
    assert_eq!(dialog.data(), b"23456789");
}

#[test]
fn files_and_directories() {
    let mut dialog = Dialog::logged_in(Behaviour::default());
    assert_eq!(dialog.say("SIZE /big\r\n"), "213 1000000\r\n");
    assert_eq!(dialog.say("SIZE f\r\n"), "550 Could not get file size.\r\n");
    assert_eq!(
        codes(&dialog.say("CWD pub\r\nSIZE f\r\nCWD nowhere\r\nCDUP\r\nSIZE pub/f\r\n")),
        ["250", "213", "550", "250", "213"]
    );
    assert_eq!(
        dialog.say("MLST pub/f\r\n"),
        "250-Listing /home/user/pub/f\r\n type=file;size=10;modify=20200102030405; /home/user/pub/f\r\n250 End\r\n"
    );
    assert_eq!(codes(&dialog.say("EPSV\r\nRETR none\r\nRETR pub/f\r\n")), ["229", "550", "150"]);
    let mut dialog = Dialog::logged_in(Behaviour { refuses_paths: true, ..Behaviour::default() });
    assert_eq!(codes(&dialog.say("SIZE pub/f\r\nCWD pub\r\nSIZE f\r\n")), ["550", "250", "213"]);
}

#[test]
fn a_restart_offset_is_for_the_next_command_alone() {
    let mut dialog = Dialog::logged_in(Behaviour::default());
    dialog.say("REST 4\r\nEPSV\r\nRETR pub/f\r\n");
    assert_eq!(dialog.data(), b"0123456789");
    let mut dialog = Dialog::logged_in(Behaviour::vsftpd());
    dialog.say("REST 4\r\nEPSV\r\nRETR pub/f\r\n");
    assert_eq!(dialog.data(), b"456789");
    dialog.say("EPSV\r\nRETR pub/f\r\n");
    assert_eq!(dialog.data(), b"0123456789");
    let mut dialog = Dialog::logged_in(Behaviour { ignores_rest: true, ..Behaviour::default() });
    assert!(dialog.say("EPSV\r\nREST 4\r\nRETR pub/f\r\n").contains("350 "));
    assert_eq!(dialog.data(), b"0123456789");
}

#[test]
fn ascii_transfers_convert_line_ends() {
    let mut dialog = Dialog::logged_in(Behaviour::default());
    assert_eq!(
        codes(&dialog.say("TYPE A\r\nSIZE /text\r\nEPSV\r\nRETR /text\r\n")),
        ["200", "550", "229", "150"]
    );
    assert_eq!(dialog.data(), b"a\r\nb\r\n");
}

#[test]
fn features_follow_what_is_known() {
    let mut dialog = Dialog::new(Behaviour::default().without("MLST").without("MDTM"));
    dialog.hear();
    assert_eq!(
        dialog.say("FEAT\r\n"),
        "211-Features:\r\n EPSV\r\n PASV\r\n REST STREAM\r\n SIZE\r\n UTF8\r\n211 End\r\n"
    );
    assert_eq!(dialog.say("MDTM f\r\n"), "500 Unknown command.\r\n");
}

#[test]
fn passive_mode_names_an_address() {
    let mut dialog = Dialog::logged_in(Behaviour::default().without("EPSV"));
    assert_eq!(codes(&dialog.say("EPSV\r\n")), ["500"]);
    assert_eq!(dialog.say("PASV\r\n"), "227 Entering Passive Mode (127,0,0,1,4,1).\r\n");
    let foreign = Some(Ipv4Addr::new(10, 1, 2, 3));
    let mut dialog = Dialog::logged_in(Behaviour { passive_host: foreign, ..Behaviour::default() });
    assert_eq!(dialog.say("PASV\r\n"), "227 Entering Passive Mode (10,1,2,3,4,1).\r\n");
    assert_eq!(codes(&dialog.say("PASV\r\n")), ["227"]);
    assert_eq!(dialog.actions, [Action::CloseData(Ending::Fin)], "the data connection before is ended");
}

/// Returns the replies after the client closed the data connection of a transfer that had begun.
fn cut_by_client(behaviour: Behaviour) -> String {
    let mut dialog = Dialog::logged_in(behaviour);
    dialog.say("EPSV\r\nRETR /big\r\n");
    assert!(dialog.session.data_window(dialog.now) > 0);
    dialog.session.data_sent(70_000, dialog.now);
    dialog.session.handle_data(DataChange::Closed, dialog.now);
    let replies = dialog.hear();
    assert_eq!(dialog.session.data_window(dialog.now), 0);
    assert_eq!(codes(&dialog.say("EPSV\r\nREST 999990\r\nRETR /big\r\n")), ["229", "350", "150"]);
    assert_eq!(dialog.data(), File::generated(1, 1_000_000).read(999_990..1_000_000));
    replies
}

#[test]
fn a_cut_by_the_client_is_answered_as_each_server_does() {
    assert_eq!(codes(&cut_by_client(Behaviour::default())), ["426"]);
    assert_eq!(codes(&cut_by_client(Behaviour::proftpd())), ["426"]);
    assert_eq!(codes(&cut_by_client(Behaviour::pure_ftpd())), ["150"]);
    assert_eq!(codes(&cut_by_client(Behaviour { abandoned: Vec::new(), ..Behaviour::default() })), [""; 0]);
}

#[test]
fn a_data_connection_closed_before_the_retr() {
    let mut dialog = Dialog::logged_in(Behaviour::default());
    dialog.say("EPSV\r\n");
    dialog.session.handle_data(DataChange::Closed, dialog.now);
    assert_eq!(codes(&dialog.say("RETR pub/f\r\nRETR pub/f\r\n")), ["150", "426", "425"]);
}

#[test]
fn completion_replies_at_other_times() {
    let begin = "EPSV\r\nRETR pub/f\r\n";
    let with = |completion| Dialog::logged_in(Behaviour { completion, ..Behaviour::default() });
    let mut early = with(Completion::BeforeData);
    assert_eq!(codes(&early.say(begin)), ["229", "150", "226"]);
    assert_eq!((early.data().len(), early.hear()), (10, String::new()));

    let mut never = with(Completion::Never);
    never.say(begin);
    assert_eq!((never.data().len(), never.hear()), (10, String::new()));
    assert_eq!(never.actions, [Action::CloseData(Ending::Fin)]);

    let mut after = with(Completion::AfterPeerClosed);
    after.say(begin);
    assert_eq!((after.data().len(), after.hear()), (10, String::new()));
    assert_eq!(after.actions, [Action::FinishData]);
    after.session.handle_data(DataChange::Closed, after.now);
    assert_eq!(codes(&after.hear()), ["226"]);

    let mut late = with(Completion::Late(Duration::from_secs(7)));
    late.say(begin);
    assert_eq!((late.data().len(), late.now), (10, Duration::from_secs(7)));
    assert_eq!(late.actions, [Action::CloseData(Ending::Fin)]);
    assert_eq!(codes(&late.hear()), ["226"]);
    assert!(late.stats().showed.contains(&Quirk::LateCompletion));
}

#[test]
fn a_server_of_few_words() {
    let mut dialog = Dialog::new(Behaviour { mark: Mark::Never, wordless: true, ..Behaviour::default() });
    assert_eq!(dialog.say("USER ftp\r\nPASS x\r\n"), "220\r\n331\r\n230\r\n");
    assert_eq!(dialog.say("NOOP\r\nEPSV\r\n"), "200\r\n229 Entering Extended Passive Mode (|||1025|)\r\n");
    assert_eq!(dialog.say("RETR pub/f\r\n"), "");
    assert_eq!((dialog.data().len(), dialog.hear()), (10, "226\r\n".to_owned()));
    let showed: Vec<Quirk> = dialog.stats().showed.iter().copied().collect();
    assert_eq!(showed, [Quirk::Wordless, Quirk::NoMark]);
}

#[test]
fn rules_that_had_an_effect_are_told() {
    let cut = |after| Reaction::Cut(Cut::told(after));
    let behaviour = Behaviour::default()
        .when(Trigger::nth("RETR", 1), cut(100))
        .when(Trigger::nth("RETR", 2), cut(3))
        .when(Trigger::every("NOOP"), Reaction::reply("500 no"));
    let mut dialog = Dialog::logged_in(behaviour);
    for _ in 0..2 {
        dialog.say("EPSV\r\nRETR pub/f\r\n");
        dialog.data();
    }
    let reacted: Vec<_> = dialog.stats().reacted.iter().copied().collect();
    assert_eq!(reacted, [(0, 1)], "the first cut lies behind the end of the file");
}

#[test]
fn interruptions_of_a_transfer() {
    let cut = |cut| {
        let mut dialog =
            Dialog::logged_in(Behaviour::default().when(Trigger::nth("RETR", 1), Reaction::Cut(cut)));
        dialog.say("EPSV\r\nRETR pub/f\r\n");
        let payload = dialog.data();
        (payload.len(), dialog.hear(), dialog.actions.clone(), dialog.now)
    };
    let told = "426 Failure writing network stream.\r\n".to_owned();
    assert_eq!(cut(Cut::told(3)), (3, told, vec![Action::CloseData(Ending::Fin)], Duration::ZERO));
    let lie = "226 Transfer complete.\r\n".to_owned();
    assert_eq!(cut(Cut::lying(2)), (2, lie.clone(), vec![Action::CloseData(Ending::Fin)], Duration::ZERO));
    let reset = cut(Cut::silent(4, Interruption::Reset));
    assert_eq!(reset, (4, String::new(), vec![Action::CloseData(Ending::Reset)], Duration::ZERO));
    for stalls in [Interruption::Stall, Interruption::Vanish] {
        assert_eq!(cut(Cut::silent(5, stalls)), (5, String::new(), Vec::new(), Duration::ZERO));
    }
    let ends = vec![Action::CloseData(Ending::Reset), Action::CloseControl(Ending::Reset)];
    let died = cut(Cut::silent(5, Interruption::Die));
    assert_eq!(died, (5, String::new(), ends, Duration::ZERO));
    let pause = Duration::from_secs(40);
    let paused = cut(Cut::silent(5, Interruption::Pause(pause)));
    assert_eq!(paused, (10, lie, vec![Action::CloseData(Ending::Fin)], pause));
}

#[test]
fn the_throttle_keeps_its_rate_in_virtual_time() {
    let start_delay = Duration::from_secs(7);
    let behaviour = Behaviour { bytes_per_second: Some(100_000), start_delay, ..Behaviour::default() };
    let mut dialog = Dialog::logged_in(behaviour);
    dialog.say("EPSV\r\nRETR /big\r\n");
    assert_eq!(dialog.session.data_window(dialog.now), 0);
    assert_eq!(dialog.data(), File::generated(1, 1_000_000).read(0..1_000_000));
    let late = dialog.now.saturating_sub(Duration::from_secs(17));
    assert!(dialog.now >= Duration::from_secs(17) && late < Duration::from_millis(1), "{:?}", dialog.now);
}

#[test]
fn bursts_are_not_always_stood() {
    let with = |bursts| Dialog::new(Behaviour { bursts, ..Behaviour::default() });
    let burst = "USER ftp\r\nPASS x\r\nPWD\r\n";
    assert_eq!(codes(&with(Bursts::RestDropped).say(burst)), ["220", "331"]);
    assert_eq!(codes(&with(Bursts::SecondRefused).say(burst)), ["220", "331", "500", "530"]);
    let mut closing = with(Bursts::Closed);
    closing.hear();
    assert_eq!(closing.say(burst), "");
    assert!(closing.is_closed());
    for bursts in [Bursts::RestDropped, Bursts::SecondRefused, Bursts::Closed] {
        let mut dialog = with(bursts);
        let replies: String = burst.split_inclusive('\n').map(|line| dialog.say(line)).collect();
        assert_eq!(codes(&replies), ["220", "331", "230", "257"], "{bursts:?}");
    }
}

#[test]
fn a_full_server_says_so_or_hangs() {
    let say = |when_full| {
        let mut dialog = Dialog::new(Behaviour::default().with_cap(0, when_full));
        (
            codes(&dialog.say("USER ftp\r\nPASS x\r\nPWD\r\n")).join(" "),
            dialog.is_closed(),
            dialog.stats().sessions[0].full,
        )
    };
    assert_eq!(say(WhenFull::Greeting), ("421".to_owned(), true, true));
    assert_eq!(say(WhenFull::Password), ("220 331 530".to_owned(), true, true));
    assert_eq!(say(WhenFull::Hang), (String::new(), false, true));
}

#[test]
fn a_place_becomes_free_when_a_session_closes() {
    let mut host =
        Host::new(Model::default().with_behaviour(Behaviour::default().with_cap(2, WhenFull::Refuse)));
    let first = host.accept(Duration::ZERO).0;
    assert!(!host.refuses());
    host.accept(Duration::ZERO);
    assert!(host.refuses());
    host.closed(first);
    host.closed(first);
    assert!(!host.refuses());
    assert_eq!((host.stats().open_sessions(), host.stats().peak_sessions), (1, 2));
}

#[test]
fn rules_act_on_the_command_they_name() {
    let behaviour = Behaviour::default()
        .when(Trigger::nth("NOOP", 2), Reaction::reply("451 not now"))
        .when(Trigger::Verb("NOOP".to_owned(), Nth::From(3)), Reaction::Insert(b"120 wait\r\n".to_vec()))
        .when(Trigger::line("SIZE pub"), Reaction::Ignore)
        .when(Trigger::nth("SYST", 1), Reaction::reply_and_close("421 bye"));
    let mut dialog = Dialog::logged_in(behaviour);
    assert_eq!(
        codes(&dialog.say("NOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\n")),
        ["200", "451", "120", "200", "120", "200"]
    );
    assert_eq!(codes(&dialog.say("SIZE pub/f\r\nSIZE /big\r\nSYST\r\nNOOP\r\n")), ["213", "421"]);
    assert!(dialog.is_closed());
}

#[test]
fn a_delay_holds_back_all_that_follows() {
    let delay = Duration::from_secs(3);
    let behaviour = Behaviour::default()
        .when(Trigger::Accepted, Reaction::Delay(delay))
        .when(Trigger::nth("PASS", 1), Reaction::Delay(delay));
    let mut dialog = Dialog::new(behaviour);
    assert_eq!(dialog.say("USER ftp\r\nPASS x\r\nPWD\r\n"), "");
    assert_eq!(dialog.session.poll_timeout(), Some(delay));
    dialog.now = delay;
    dialog.session.handle_timeout(delay);
    assert_eq!(codes(&dialog.hear()), ["220", "331"]);
    assert_eq!(dialog.session.poll_timeout(), Some(delay * 2));
    dialog.session.handle_timeout(delay * 2);
    assert_eq!(codes(&dialog.hear()), ["230", "257"]);
    assert_eq!(dialog.session.poll_timeout(), None);
}

#[test]
fn a_session_ends_after_some_replies() {
    let after = |reaction| {
        let mut dialog = Dialog::new(Behaviour::default().when(Trigger::Replies(3), reaction));
        let replies = dialog.say("USER ftp\r\nPASS x\r\nPWD\r\nSYST\r\n");
        (codes(&replies).join(" "), dialog.actions.clone())
    };
    assert_eq!(after(Reaction::Close), ("220 331 230".to_owned(), vec![Action::CloseControl(Ending::Fin)]));
    assert_eq!(after(Reaction::Reset), ("220 331 230".to_owned(), vec![Action::CloseControl(Ending::Reset)]));
    assert_eq!(after(Reaction::Hang), ("220 331 230".to_owned(), Vec::new()));
}

#[test]
fn deadlines_end_what_waits_too_long() {
    let mut dialog = Dialog::logged_in(Behaviour::default());
    dialog.connects = false;
    assert_eq!(codes(&dialog.say("EPSV\r\nRETR pub/f\r\n")), ["229"]);
    assert_eq!(dialog.data(), b"");
    assert_eq!(dialog.now, Duration::from_secs(60));
    assert_eq!(codes(&dialog.hear()), ["425"]);

    let idle_timeout = Some(Duration::from_secs(300));
    let mut dialog = Dialog::logged_in(Behaviour { idle_timeout, ..Behaviour::default() });
    dialog.data();
    assert_eq!(dialog.now, Duration::from_secs(300));
    assert_eq!(codes(&dialog.hear()), ["421"]);
    assert!(dialog.is_closed());
}

#[test]
fn pyftpdlib_answers_during_a_transfer_and_epsv_breaks_it_off() {
    let mut dialog = Dialog::logged_in(Behaviour::pyftpdlib());
    assert_eq!(codes(&dialog.say("EPSV\r\nRETR /big\r\nNOOP\r\n")), ["229", "150", "200"]);
    assert!(dialog.session.data_window(dialog.now) > 0);
    assert_eq!(codes(&dialog.say("EPSV\r\n")), ["229"]);
    assert_eq!(dialog.session.data_window(dialog.now), 0);
}

#[test]
fn sessions_may_differ() {
    let other = Behaviour { banner: vec!["one".to_owned(), "two".to_owned()], ..Behaviour::default() };
    let mut host = Host::new(Model::default().with_session(1, other));
    assert_eq!(host.accept(Duration::ZERO).1.transmit(), b"220 model FTP server ready.\r\n");
    assert_eq!(host.accept(Duration::ZERO).1.transmit(), b"220-one\r\n220 two\r\n");
}
