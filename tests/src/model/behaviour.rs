//! How the model server behaves: well, unless told otherwise.

use std::net::Ipv4Addr;
use std::time::Duration;

/// The behaviour of a server. The default is a well-behaved server in vsftpd's manner that lets
/// `anonymous` in with any password.
///
/// The fields are what a kind of server does all the time; single events (the second RETR is cut, PASS is never
/// answered) are rules in [`Behaviour::on`].
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviour {
    /// The users that are let in, and the dialogue of the login.
    pub login: Login,
    /// The lines of the 220 greeting; several make a multi-line reply.
    pub banner: Vec<String>,
    /// How many sessions are served at a time, and how further ones learn of it.
    pub cap: Option<Cap>,
    /// Payload bytes per second of one session (0 counts as 1).
    pub bytes_per_second: Option<u64>,
    /// How long after the mark the first payload byte is sent.
    pub start_delay: Duration,
    /// The treatment of several commands in one read.
    pub bursts: Bursts,
    /// The address a 227 names instead of the server's own.
    pub passive_host: Option<Ipv4Addr>,
    /// Added to every size that SIZE and MLST tell.
    pub size_error: i64,
    /// REST is answered 350, and every transfer starts at byte 0 all the same.
    pub ignores_rest: bool,
    /// A restart offset outlives the commands between REST and RETR. RFC 3659 §5.3 wants REST directly before
    /// RETR, so a well-behaved server need not do this.
    pub keeps_rest: bool,
    /// A file argument with a `/` in it is answered 550: only CWD and a bare name reach a file.
    pub refuses_paths: bool,
    /// Replies of one line are their code alone, where the text is not what was asked for.
    pub wordless: bool,
    /// When the mark is sent.
    pub mark: Mark,
    /// Which size the text of the mark names.
    pub mark_size: MarkSize,
    /// When the completion reply is sent.
    pub completion: Completion,
    /// The bytes sent when the client closes the data connection in mid-file.
    pub abandoned: Vec<u8>,
    /// The treatment of commands that arrive during a transfer.
    pub during_transfer: DuringTransfer,
    /// A session silent for so long, and without a transfer, is ended by a 421.
    pub idle_timeout: Option<Duration>,
    /// The script. Every rule whose trigger matches is applied, in this order.
    pub on: Vec<(Trigger, Reaction)>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            login: Login::default(),
            banner: vec!["model FTP server ready.".to_owned()],
            cap: None,
            bytes_per_second: None,
            start_delay: Duration::ZERO,
            bursts: Bursts::Answered,
            passive_host: None,
            size_error: 0,
            ignores_rest: false,
            keeps_rest: false,
            refuses_paths: false,
            wordless: false,
            mark: Mark::AfterAccept,
            mark_size: MarkSize::Whole,
            completion: Completion::AfterData,
            abandoned: b"426 Failure writing network stream.\r\n".to_vec(),
            during_transfer: DuringTransfer::Deferred,
            idle_timeout: None,
            on: Vec::new(),
        }
    }
}

impl Behaviour {
    /// As vsftpd 3.0 does it.
    pub fn vsftpd() -> Self {
        Self { keeps_rest: true, ..Self::default() }.without("MLST")
    }

    /// As ProFTPD 1.3 does it: 226 only when the client has closed its side, too.
    pub fn proftpd() -> Self {
        Self { completion: Completion::AfterPeerClosed, mark_size: MarkSize::Rest, ..Self::default() }
    }

    /// As Pure-FTPd 1.0 does it: USER alone logs in, and a cut is answered by one more mark and nothing after it.
    pub fn pure_ftpd() -> Self {
        Self {
            login: Login { dialogue: Dialogue::UserOnly, ..Login::default() },
            mark_size: MarkSize::Kilobytes,
            abandoned: b"150 Connection closed.\r\n".to_vec(),
            ..Self::default()
        }
    }

    /// As pyftpdlib 2.2 does it: commands are answered during a transfer, and EPSV breaks it off.
    pub fn pyftpdlib() -> Self {
        Self {
            mark: Mark::BeforeAccept,
            mark_size: MarkSize::None,
            during_transfer: DuringTransfer::Answered,
            ..Self::default()
        }
    }

    /// The behaviour with one more rule.
    pub fn when(mut self, trigger: Trigger, reaction: Reaction) -> Self {
        self.on.push((trigger, reaction));
        self
    }

    /// The behaviour of a server that does not know `verb`: it answers 500, and FEAT does not list it.
    pub fn without(self, verb: &str) -> Self {
        self.when(Trigger::every(verb), Reaction::reply("500 Unknown command."))
    }

    /// The behaviour with this limit of sessions.
    pub fn with_cap(mut self, sessions: usize, when_full: WhenFull) -> Self {
        self.cap = Some(Cap { sessions, when_full, ..Cap::default() });
        self
    }

    /// The behaviour with every transfer interrupted in this way.
    pub fn cutting_every(self, cut: Cut) -> Self {
        self.when(Trigger::every("RETR"), Reaction::Cut(cut))
    }

    pub(crate) fn knows(&self, verb: &str) -> bool {
        let refused = |(trigger, reaction): &(Trigger, Reaction)| {
            matches!(reaction, Reaction::Reply(_)) && *trigger == Trigger::every(verb)
        };
        !self.on.iter().any(refused)
    }
}

/// The users that are let in, and the dialogue of the login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Whether `anonymous` and `ftp` are let in, with any password.
    pub anonymous: bool,
    /// Names and passwords of those with an account here.
    pub users: Vec<(String, String)>,
    /// The dialogue.
    pub dialogue: Dialogue,
}

impl Default for Login {
    fn default() -> Self {
        Self { anonymous: true, users: Vec::new(), dialogue: Dialogue::Password }
    }
}

impl Login {
    /// Only this user is let in, with this password.
    pub fn only(user: &str, password: &str) -> Self {
        let users = vec![(user.to_owned(), password.to_owned())];
        Self { anonymous: false, users, dialogue: Dialogue::Password }
    }
}

/// The dialogue of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialogue {
    /// USER is answered 331, PASS 230.
    Password,
    /// USER of a user who may enter is answered 230, and PASS behind it 230 again.
    UserOnly,
    /// USER is answered 331, PASS 332, ACCT 230.
    Account,
}

/// A limit of sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cap {
    /// How many sessions are served at a time.
    pub sessions: usize,
    /// How a further session learns of it.
    pub when_full: WhenFull,
    /// The words behind the 421 or 530.
    pub words: String,
}

impl Default for Cap {
    fn default() -> Self {
        let words = "Sorry, too many users are connected, try again later.".to_owned();
        Self { sessions: 1, when_full: WhenFull::Greeting, words }
    }
}

/// How a session learns that the server is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// A 421 in place of the greeting, then the end.
    Greeting,
    /// A 530 in place of the answer to PASS, then the end.
    Password,
    /// The connection is accepted and nothing is ever sent.
    Hang,
    /// The connection is refused. Drivers see to it: see [`Host::refuses`](super::Host::refuses).
    Refuse,
}

/// The treatment of several commands in one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bursts {
    /// All are answered, in order.
    Answered,
    /// All input behind the first line of a read is lost.
    RestDropped,
    /// The second command is answered 500, the others are answered.
    SecondRefused,
    /// The control connection is closed, without an answer.
    Closed,
}

/// When the 150 is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// When the data connection is there.
    AfterAccept,
    /// At once.
    BeforeAccept,
    /// Never: the transfer begins without a word.
    Never,
}

/// Which size the text of the 150 names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkSize {
    /// The size of the whole file, as vsftpd names it.
    Whole,
    /// The size of the rest behind the restart offset, as ProFTPD names it.
    Rest,
    /// Kilobytes in words of its own, as Pure-FTPd.
    Kilobytes,
    /// None.
    None,
}

/// When the 226 is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// When the last byte is sent and the data connection is closed.
    AfterData,
    /// Together with the mark, before the data.
    BeforeData,
    /// When the client has closed its side of the data connection, as ProFTPD.
    AfterPeerClosed,
    /// This long after the data connection is closed.
    Late(Duration),
    /// Never.
    Never,
}

/// The treatment of commands that arrive during a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuringTransfer {
    /// Commands wait for the end of the transfer, as with vsftpd and ProFTPD.
    Deferred,
    /// Commands are answered, and EPSV or PASV breaks the transfer off, as with pyftpdlib.
    Answered,
}

/// The trigger of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The control connection is there; the reaction takes the place of the greeting.
    Accepted,
    /// A command with this verb (in capitals).
    Verb(String, Nth),
    /// A command line that starts with these bytes, every time.
    Line(Vec<u8>),
    /// This many replies were sent, the greeting included. Only reactions that need no command have an effect:
    /// `Insert`, `ReplyAndClose`, `Hang`, `Close`, `Reset`.
    Replies(u32),
}

/// Which occurrence of a verb in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nth {
    /// All of them.
    Every,
    /// The occurrence of this number, counted from 1.
    Only(u32),
    /// The occurrence of this number and all later ones, counted from 1.
    From(u32),
}

impl Trigger {
    /// Every command with this verb.
    pub fn every(verb: &str) -> Self {
        Self::Verb(verb.to_ascii_uppercase(), Nth::Every)
    }

    /// The nth command with this verb in a session, counted from 1.
    pub fn nth(verb: &str, nth: u32) -> Self {
        Self::Verb(verb.to_ascii_uppercase(), Nth::Only(nth))
    }

    /// A command line that starts so, as in `RETR /missing`.
    pub fn line(start: &str) -> Self {
        Self::Line(start.as_bytes().to_vec())
    }
}

/// The reaction of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// The command has no effect and these bytes are its reply.
    Reply(Vec<u8>),
    /// The same, and then both connections are closed.
    ReplyAndClose(Vec<u8>),
    /// Sends these bytes before any other reaction.
    Insert(Vec<u8>),
    /// All else happens so much later.
    Delay(Duration),
    /// The command has no effect and no reply.
    Ignore,
    /// Nothing is answered any more; a running transfer goes on.
    Hang,
    /// Both connections are closed.
    Close,
    /// Both connections are reset.
    Reset,
    /// The transfer this command starts is interrupted.
    Cut(Cut),
}

impl Reaction {
    /// [`Reaction::Reply`] with these lines, CRLF being added.
    pub fn reply(text: &str) -> Self {
        Self::Reply(format!("{text}\r\n").into_bytes())
    }

    /// [`Reaction::ReplyAndClose`] with these lines, CRLF being added.
    pub fn reply_and_close(text: &str) -> Self {
        Self::ReplyAndClose(format!("{text}\r\n").into_bytes())
    }
}

/// The interruption of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Bytes of the transfer that are sent first. A transfer that has fewer ends as usual.
    pub after: u64,
    /// The interruption that follows.
    pub how: Interruption,
    /// The reply in place of the completion reply, if there is one.
    pub reply: Vec<u8>,
}

impl Cut {
    /// The data connection ends and a 426 says so.
    pub fn told(after: u64) -> Self {
        Self { after, how: Interruption::Fin, reply: b"426 Failure writing network stream.\r\n".to_vec() }
    }

    /// The data connection ends and a 226 claims that all was sent.
    pub fn lying(after: u64) -> Self {
        Self { after, how: Interruption::Fin, reply: b"226 Transfer complete.\r\n".to_vec() }
    }

    /// The data connection ends, or stops, in this way, and nothing is said.
    pub fn silent(after: u64, how: Interruption) -> Self {
        Self { after, how, reply: Vec::new() }
    }
}

/// How a transfer is interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// The data connection is closed.
    Fin,
    /// The data connection is reset; bytes under way may be lost.
    Reset,
    /// The data connection stays open and nothing more is sent on it.
    Stall,
    /// The same, and no command is answered any more either: the peer has vanished.
    Vanish,
    /// Both connections are reset: the peer has died.
    Die,
    /// Nothing is sent for so long, then the transfer goes on.
    Pause(Duration),
}

/// A lasting misbehaviour, as a session tells that it had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quirk {
    /// Several commands in one read were not all answered as they should: [`Behaviour::bursts`].
    Burst,
    /// [`Behaviour::passive_host`].
    ForeignHost,
    /// [`Behaviour::size_error`].
    WrongSize,
    /// A transfer that was to start behind the first byte did not: [`Behaviour::ignores_rest`].
    RestIgnored,
    /// [`Behaviour::wordless`].
    Wordless,
    /// [`Mark::Never`].
    NoMark,
    /// [`Completion::BeforeData`].
    EarlyCompletion,
    /// [`Completion::Late`].
    LateCompletion,
    /// [`Completion::Never`].
    NoCompletion,
    /// [`Behaviour::idle_timeout`].
    Idle,
}
