//! The commands, answered in vsftpd's words.

use std::sync::Arc;

use super::{Ending, LoginState, ServerSession};
use crate::model::behaviour::{Dialogue, Quirk, WhenFull};
use crate::model::tree::{File, resolve};

/// The first word of a command line, in capitals.
pub(super) fn verb_of(line: &[u8]) -> String {
    let word = line.split(|&byte| byte == b' ').next().unwrap_or_default();
    String::from_utf8_lossy(word).to_ascii_uppercase()
}

impl ServerSession {
    pub(super) fn greet(&mut self) {
        if let Some(cap) = self.full.clone().filter(|cap| cap.when_full != WhenFull::Password) {
            self.reply(&format!("421 {}", cap.words));
            self.close(Ending::Fin);
            return;
        }
        let behaviour = Arc::clone(&self.behaviour);
        let (last, before) =
            behaviour.banner.split_last().map_or(("", &[][..]), |(last, rest)| (last.as_str(), rest));
        let mut text: String = before.iter().map(|line| format!("220-{line}\r\n")).collect();
        text.push_str(&format!("220 {last}"));
        self.reply(&text);
    }

    pub(super) fn command(&mut self, line: &[u8]) {
        let verb = verb_of(line);
        let argument = line.get(verb_length(line) + 1..).unwrap_or_default();
        let restart = self.restart;
        if verb != "REST" && !self.behaviour.keeps_rest || verb == "RETR" {
            self.restart = 0;
        }
        if !self.before_login(&verb, argument) {
            if self.login == LoginState::Done {
                self.after_login(&verb, argument, restart);
            } else {
                self.reply("530 Please login with USER and PASS.");
            }
        }
    }

    /// Answers the commands that need no login; false if it is none of them.
    fn before_login(&mut self, verb: &str, argument: &[u8]) -> bool {
        let text = String::from_utf8_lossy(argument).into_owned();
        match verb {
            "USER" => self.user(text),
            "PASS" => self.pass(&text),
            "ACCT" => self.acct(),
            "FEAT" => self.feat(),
            "OPTS" if text.eq_ignore_ascii_case("UTF8 ON") => self.reply("200 Always in UTF8 mode."),
            "OPTS" => self.reply("501 Option not understood."),
            "QUIT" => {
                self.reply("221 Goodbye.");
                self.close(Ending::Fin);
            }
            _ => return false,
        }
        true
    }

    fn after_login(&mut self, verb: &str, argument: &[u8], restart: u64) {
        match verb {
            "TYPE" => self.type_(argument),
            "SIZE" | "MDTM" | "MLST" => self.facts(verb, argument),
            "REST" => self.rest(argument),
            "RETR" => match self.file(argument) {
                Some((path, file)) => self.retrieve(path, file, restart),
                None => self.reply("550 Failed to open file."),
            },
            "EPSV" => self.epsv(argument),
            "PASV" => self.open_data(false),
            "PWD" => {
                let cwd = String::from_utf8_lossy(&self.cwd).replace('"', "\"\"");
                self.reply(&format!("257 \"{cwd}\" is the current directory"));
            }
            "CWD" => self.cwd(argument),
            "CDUP" => self.cwd(b".."),
            "NOOP" => self.reply("200 NOOP ok."),
            "SYST" => self.reply("215 UNIX Type: L8"),
            "ABOR" => self.abor(),
            "PORT" | "EPRT" | "LIST" | "NLST" | "MLSD" | "STOR" | "STRU" | "MODE" => {
                self.reply("502 Command not implemented.");
            }
            _ => self.reply("500 Unknown command."),
        }
    }

    fn user(&mut self, name: String) {
        if self.login == LoginState::Done {
            if self.behaviour.login.dialogue == Dialogue::UserOnly {
                self.reply("230 User logged in, proceed.");
            } else {
                self.reply("530 Can't change to another user.");
            }
        } else if self.behaviour.login.dialogue == Dialogue::UserOnly && self.is_known(&name) {
            self.log_in();
        } else {
            self.reply("331 Please specify the password.");
            self.login = LoginState::NeedsPassword(name);
        }
    }

    fn pass(&mut self, password: &str) {
        if let Some(cap) = self.full.clone() {
            self.reply(&format!("530 {}", cap.words));
            self.close(Ending::Fin);
            return;
        }
        match self.login.clone() {
            LoginState::Done => self.reply("230 Already logged in."),
            LoginState::NeedsPassword(name) => {
                self.login = LoginState::Nobody;
                if !self.may_enter(&name, password) {
                    self.reply("530 Login incorrect.");
                } else if self.behaviour.login.dialogue == Dialogue::Account {
                    self.login = LoginState::NeedsAccount;
                    self.reply("332 Need account for login.");
                } else {
                    self.log_in();
                }
            }
            LoginState::Nobody | LoginState::NeedsAccount => self.reply("503 Login with USER first."),
        }
    }

    fn acct(&mut self) {
        if self.login == LoginState::NeedsAccount {
            self.log_in();
        } else {
            self.reply("202 Command not implemented, superfluous at this site.");
        }
    }

    fn log_in(&mut self) {
        if let Some(cap) = self.full.clone() {
            self.reply(&format!("530 {}", cap.words));
            self.close(Ending::Fin);
            return;
        }
        self.login = LoginState::Done;
        self.event(super::Event::LoggedIn);
        self.reply("230 Login successful.");
    }

    fn is_known(&self, name: &str) -> bool {
        self.is_anonymous(name) || self.behaviour.login.users.iter().any(|(user, _)| user == name)
    }

    fn may_enter(&self, name: &str, password: &str) -> bool {
        let has_account = |(user, secret): &(String, String)| user == name && secret == password;
        self.is_anonymous(name) || self.behaviour.login.users.iter().any(has_account)
    }

    fn is_anonymous(&self, name: &str) -> bool {
        let guest = name.eq_ignore_ascii_case("anonymous") || name.eq_ignore_ascii_case("ftp");
        guest && self.behaviour.login.anonymous
    }

    fn feat(&mut self) {
        let features = ["EPSV", "MDTM", "MLST type*;size*;modify*;", "PASV", "REST STREAM", "SIZE", "UTF8"];
        let known = features.into_iter().filter(|line| self.behaviour.knows(&verb_of(line.as_bytes())));
        let lines: String = known.map(|line| format!(" {line}\r\n")).collect();
        self.reply(&format!("211-Features:\r\n{lines}211 End"));
    }

    fn type_(&mut self, argument: &[u8]) {
        match argument.to_ascii_uppercase().as_slice() {
            b"I" | b"L 8" | b"L8" => {
                self.ascii = false;
                self.reply("200 Switching to Binary mode.");
            }
            b"A" | b"A N" => {
                self.ascii = true;
                self.reply("200 Switching to ASCII mode.");
            }
            _ => self.reply("500 Unrecognised TYPE command."),
        }
    }

    fn facts(&mut self, verb: &str, argument: &[u8]) {
        let Some((path, file)) = self.file(argument) else {
            self.reply(match verb {
                "SIZE" => "550 Could not get file size.",
                "MDTM" => "550 Could not get file modification time.",
                _ => "550 No such file or directory.",
            });
            return;
        };
        if self.behaviour.size_error != 0 {
            self.event(super::Event::Showed(Quirk::WrongSize));
        }
        let size = file.size().saturating_add_signed(self.behaviour.size_error);
        let modified = file.modified();
        match verb {
            // The size of an ASCII transfer is not known without reading the file; ProFTPD and pyftpdlib
            // refuse too.
            "SIZE" if self.ascii => self.reply("550 SIZE not allowed in ASCII mode."),
            "SIZE" => self.reply(&format!("213 {size}")),
            "MDTM" => self.reply(&format!("213 {modified}")),
            _ => {
                let path = String::from_utf8_lossy(&path).into_owned();
                let facts = format!("type=file;size={size};modify={modified}; {path}");
                self.reply(&format!("250-Listing {path}\r\n {facts}\r\n250 End"));
            }
        }
    }

    /// The file an argument names.
    fn file(&self, argument: &[u8]) -> Option<(Vec<u8>, Arc<File>)> {
        if self.behaviour.refuses_paths && argument.contains(&b'/') {
            return None;
        }
        let path = resolve(&self.cwd, argument);
        let file = Arc::clone(self.tree.file(&path)?);
        Some((path, file))
    }

    fn rest(&mut self, argument: &[u8]) {
        let offset = str::from_utf8(argument).ok().and_then(|text| text.parse().ok());
        if let Some(offset) = offset {
            self.restart = offset;
            self.reply(&format!("350 Restart position accepted ({offset})."));
        } else {
            self.reply("501 Bad restart position.");
        }
    }

    fn epsv(&mut self, argument: &[u8]) {
        match argument.to_ascii_uppercase().as_slice() {
            b"" | b"1" | b"2" => self.open_data(true),
            b"ALL" => self.reply("200 EPSV ALL ok."),
            _ => self.reply("522 Bad network protocol."),
        }
    }

    fn cwd(&mut self, argument: &[u8]) {
        let path = resolve(&self.cwd, argument);
        if self.tree.is_directory(&path) {
            self.cwd = path;
            self.reply("250 Directory successfully changed.");
        } else {
            self.reply("550 Failed to change directory.");
        }
    }

    fn abor(&mut self) {
        if self.transfer.is_some() {
            self.drop_data(Ending::Fin);
            self.reply("426 Transfer aborted.");
            self.reply("226 ABOR successful.");
        } else {
            self.reply("225 No transfer to ABOR.");
        }
    }
}

/// Not that of the verb as text, which may be longer when the line is not UTF-8.
fn verb_length(line: &[u8]) -> usize {
    line.iter().position(|&byte| byte == b' ').unwrap_or(line.len())
}
