//! The configuration of each real server.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Kind, Options, USER};

/// The served tree, as the servers in a mount namespace see it.
const TREE: &str = "/etc/tree";

/// The user id of anonymous sessions.
const ANONYMOUS_ID: u32 = 65_500;

/// The user id of the sessions of [`USER`].
const USER_ID: u32 = 65_501;

/// Writes the files that the server needs into `work`, and returns its arguments.
pub(super) fn write(
    kind: Kind,
    work: &Path,
    root: &Path,
    addr: SocketAddr,
    options: &Options,
) -> Vec<OsString> {
    assert!(!options.password.contains([':', '\r', '\n']), "a password that passwd files cannot hold");
    match kind {
        Kind::Vsftpd => {
            write_etc(work, options);
            put(work, "etc/vsftpd.conf", 0o644, &vsftpd(addr, options));
            ["/etc/vsftpd.conf"].map(OsString::from).into()
        }
        Kind::ProFtpd => {
            write_etc(work, options);
            put(work, "etc/proftpd.conf", 0o644, &proftpd(addr, options));
            ["--nodaemon", "--quiet", "--config", "/etc/proftpd.conf"].map(OsString::from).into()
        }
        Kind::PureFtpd => {
            write_etc(work, options);
            pure_ftpd(addr, options).into_iter().map(OsString::from).collect()
        }
        Kind::Pyftpdlib => {
            put(work, "server.py", 0o644, PYFTPDLIB);
            let limit = |limit: Option<u32>| limit.unwrap_or(0).to_string().into();
            vec![
                work.join("server.py").into(),
                root.into(),
                addr.port().to_string().into(),
                USER.into(),
                options.password.clone().into(),
                limit(options.max_clients),
                limit(options.max_per_ip),
                limit(options.rate),
                u8::from(options.digests).to_string().into(),
            ]
        }
    }
}

fn vsftpd(addr: SocketAddr, options: &Options) -> String {
    let (ip, port) = (addr.ip(), addr.port());
    let clients = options.max_clients.unwrap_or(0);
    let per_ip = options.max_per_ip.unwrap_or(0);
    let rate = options.rate.unwrap_or(0);
    format!(
        "listen=YES
listen_address={ip}
listen_port={port}
background=NO
anonymous_enable=YES
anon_root={TREE}
local_enable=YES
local_root={TREE}
chroot_local_user=YES
allow_writeable_chroot=YES
write_enable=NO
pam_service_name=vsftpd
session_support=NO
secure_chroot_dir=/etc/empty
nopriv_user=nobody
ftp_username=ftp
max_clients={clients}
max_per_ip={per_ip}
anon_max_rate={rate}
local_max_rate={rate}
delay_failed_login=0
delay_successful_login=0
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
tcp_wrappers=NO
connect_from_port_20=NO
xferlog_enable=YES
xferlog_std_format=NO
log_ftp_protocol=YES
vsftpd_log_file=/etc/log/vsftpd
"
    )
}

fn proftpd(addr: SocketAddr, options: &Options) -> String {
    let (ip, port) = (addr.ip(), addr.port());
    let limits = proftpd_limits(options);
    let modules = if options.digests { digest_module() } else { String::new() };
    format!(
        "{modules}ServerName tests
ServerType standalone
DefaultServer on
DefaultAddress {ip}
SocketBindTight on
Port {port}
UseIPv6 off
UseReverseDNS off
User nobody
Group nogroup
MaxInstances none
PidFile /run/proftpd.pid
ScoreboardFile /run/proftpd.scoreboard
SystemLog /etc/log/system
ExtendedLog /etc/log/commands ALL
TransferLog none
WtmpLog off
<IfModule mod_ctrls.c>
  ControlsEngine off
</IfModule>
<IfModule mod_delay.c>
  DelayEngine off
</IfModule>
<IfModule mod_ident.c>
  IdentLookups off
</IfModule>
<IfModule mod_auth_pam.c>
  AuthPAM off
</IfModule>
AuthOrder mod_auth_unix.c
UseFtpUsers off
RequireValidShell off
DefaultRoot ~
{limits}<Limit WRITE>
  DenyAll
</Limit>
<Anonymous {TREE}>
User ftp
Group ftp
UserAlias anonymous ftp
RequireValidShell off
{limits}<Limit WRITE>
  DenyAll
</Limit>
</Anonymous>
"
    )
}

/// Returns directives that hold for the server and, once more, for its anonymous part.
fn proftpd_limits(options: &Options) -> String {
    let mut limits = String::new();
    if let Some(clients) = options.max_clients {
        let _ = writeln!(limits, "MaxClients {clients}");
    }
    if let Some(clients) = options.max_per_ip {
        let _ = writeln!(limits, "MaxClientsPerHost {clients}");
    }
    if let Some(rate) = options.rate {
        let _ = writeln!(limits, "TransferRate RETR {}", rate / 1024);
    }
    limits
}

/// Loads ProFTPD's module for HASH, XMD5 and the like: the unpacked one, or else the installed one.
fn digest_module() -> String {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join(".servers/root/usr/lib/proftpd");
    let path = if unpacked.exists() { format!("ModulePath {}\n", unpacked.display()) } else { String::new() };
    format!("{path}LoadModule mod_digest.c\n")
}

fn pure_ftpd(addr: SocketAddr, options: &Options) -> Vec<String> {
    let mut arguments: Vec<String> = ["--login", "unix", "--chrooteveryone", "--anonymouscantupload"]
        .into_iter()
        .chain(["--dontresolve", "--ipv4only", "--minuid", "1", "--syslogfacility", "none"])
        .chain(["--altlog", "w3c:/etc/log/transfers", "--pidfile", "/run/pure-ftpd.pid"])
        .map(str::to_owned)
        .collect();
    let mut option = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    option("--bind", format!("{},{}", addr.ip(), addr.port()));
    option("--maxclientsnumber", options.max_clients.unwrap_or(10_000).to_string());
    if let Some(clients) = options.max_per_ip {
        option("--maxclientsperip", clients.to_string());
    }
    if let Some(rate) = options.rate {
        option("--userbandwidth", (rate / 1024).to_string()); // of anonymous users as well
    }
    arguments
}

/// Arguments of this program: tree, port, user, password, and the limits, 0 for none; and 1 if the server
/// knows XSHA256.
const PYFTPDLIB: &str = r#"
import hashlib, logging, sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, ThrottledDTPHandler
from pyftpdlib.servers import FTPServer

root, port, user, password, clients, per_ip, rate, digests = sys.argv[1:]
logging.basicConfig(level=logging.DEBUG)

class Handler(FTPHandler):
    authorizer = DummyAuthorizer()
    auth_failed_timeout = 0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._extra_feats = ["XSHA256"] if "XSHA256" in self.proto_cmds else []

    def ftp_XSHA256(self, path):
        with open(path, "rb") as file:
            self.respond("250 " + hashlib.sha256(file.read()).hexdigest().upper())

if int(digests):
    Handler.proto_cmds = dict(FTPHandler.proto_cmds, XSHA256=dict(perm="r", auth=True, arg=True, help=""))

Handler.authorizer.add_anonymous(root)
Handler.authorizer.add_user(user, password, root, perm="elr")
if int(rate):
    class Throttled(ThrottledDTPHandler):
        read_limit = write_limit = int(rate)
    Handler.dtp_handler = Throttled
    Handler.use_sendfile = False

class Server(FTPServer):
    max_cons = 0
    # Its own limit, max_cons, is one of sockets, data connections among them.
    def _accept_new_cons(self):
        return not int(clients) or len(self.ip_map) <= int(clients)

server = Server(("127.0.0.1", int(port)), Handler)
server.max_cons_per_ip = int(per_ip)
server.serve_forever()
"#;

/// Writes the private `/etc`, and in it the directory that becomes `/run`.
fn write_etc(work: &Path, options: &Options) {
    for directory in ["etc", "etc/run", "etc/tree", "etc/empty", "etc/log", "etc/pam.d"] {
        fs::create_dir(work.join(directory)).expect("a directory for the server");
        set_mode(&work.join(directory), 0o755);
    }
    let passwd = format!(
        "root:x:0:0::/:/bin/sh
nobody:x:65534:65534::/:/bin/false
ftp:x:{ANONYMOUS_ID}:{ANONYMOUS_ID}::{TREE}:/bin/sh
{USER}:x:{USER_ID}:{USER_ID}::{TREE}:/bin/sh
"
    );
    let group = format!("root:x:0:\nnogroup:x:65534:\nftp:x:{ANONYMOUS_ID}:\n{USER}:x:{USER_ID}:\n");
    let days = "19000:0:99999:7:::";
    let shadow =
        format!("root:*:{days}\nnobody:*:{days}\nftp:*:{days}\n{USER}:{}:{days}\n", hash(&options.password));
    put(work, "etc/passwd", 0o644, &passwd);
    put(work, "etc/group", 0o644, &group);
    put(work, "etc/shadow", 0o600, &shadow);
    put(work, "etc/nsswitch.conf", 0o644, "passwd: files\ngroup: files\nshadow: files\nhosts: files\n");
    put(work, "etc/hosts", 0o644, "127.0.0.1 localhost\n");
    put(work, "etc/protocols", 0o644, "ip 0 IP\nicmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\n");
    put(work, "etc/services", 0o644, "ftp-data 20/tcp\nftp 21/tcp\n");
    put(work, "etc/shells", 0o644, "/bin/sh\n");
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join(".servers/pam/pam_unix.so");
    let module = if fetched.exists() { fetched.display().to_string() } else { "pam_unix.so".to_owned() };
    let pam = format!("auth required {module} nodelay\naccount required {module}\n");
    put(work, "etc/pam.d/vsftpd", 0o644, &pam);
    // The directories of this machine's libraries.
    if let Ok(cache) = fs::read("/etc/ld.so.cache") {
        fs::write(work.join("etc/ld.so.cache"), cache).expect("a file for the server");
    }
}

/// Returns the password as a shadow file holds it.
fn hash(password: &str) -> String {
    let mut perl = Command::new("perl")
        .args(["-e", "print crypt(<STDIN>, q($6$rounds=1000$pftptests$))"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("perl, for the hash of a password: {e} (Debian: perl-base)"));
    perl.stdin.take().expect("piped").write_all(password.as_bytes()).expect("perl reads");
    let output = perl.wait_with_output().expect("perl ends");
    let hash = String::from_utf8(output.stdout).expect("a hash");
    assert!(hash.starts_with("$6$"), "perl's crypt made {hash:?} of the password");
    hash
}

fn put(work: &Path, name: &str, mode: u32, text: &str) {
    let path = work.join(name);
    fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    set_mode(&path, mode);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the mode of an own file");
}
