//! Generates the seeds of the fuzz targets in `fuzz/corpus` from the dialogs and the transcripts of real
//! servers.
//!
//! `corpus record` first records the transcripts in `fuzz/transcripts`: it starts the servers, downloads from
//! them and sends them further commands.

use anyhow::{Context as _, Result};
use ftp_proto::{Reply, ReplyParser};
use pftp_tests::command::Pftp;
use pftp_tests::fuzzing::seeds;
use pftp_tests::servers::{Kind, Options, RealServer};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

fn main() -> Result<()> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    if std::env::args().nth(1).as_deref() == Some("record") {
        record(&fuzz.join("transcripts"))?;
    }
    let mut count = 0;
    for ((target, name), seed) in seeds()? {
        let directory = fuzz.join("corpus").join(target);
        fs::create_dir_all(&directory)?;
        fs::write(directory.join(name), seed)?;
        count += 1;
    }
    println!("{count} seeds");
    Ok(())
}

const SERVERS: [(&str, Kind); 4] = [
    ("vsftpd", Kind::Vsftpd),
    ("proftpd", Kind::ProFtpd),
    ("pure-ftpd", Kind::PureFtpd),
    ("pyftpdlib", Kind::Pyftpdlib),
];

/// The commands beside those of a download.
const QUESTIONS: [&str; 18] = [
    "USER anonymous",
    "PASS x@example.org",
    "SYST",
    "FEAT",
    "PWD",
    "TYPE I",
    "SIZE file",
    "MDTM file",
    "MLST file",
    "SIZE nothing",
    "MLST nothing",
    "CWD nowhere",
    "PASV",
    "EPSV",
    "REST 7",
    "RETR nothing",
    "XYZZY",
    "QUIT",
];

fn record(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    for (name, kind) in SERVERS {
        let tree = tempfile::tempdir()?;
        fs::write(tree.path().join("file"), vec![b'x'; 3 << 20])?;
        // A slow server, so a connection that has finished takes over a range of another.
        let rate = Some(1_500_000.try_into()?);
        let server = RealServer::with(kind, tree.path(), &Options { rate, ..Options::default() });
        let root = tree.path().to_string_lossy().into_owned();
        let answers = ask(server.addr())?;
        fs::write(directory.join(format!("{name}-asked.log")), answers.replace(&root, "/srv"))?;
        for (thread, log) in download(server.addr())? {
            let path = directory.join(format!("{name}-{thread}.log"));
            fs::write(path, log.replace(&root, "/srv"))?;
        }
    }
    Ok(())
}

/// Returns the log of a download, by connection.
fn download(server: SocketAddr) -> Result<Vec<(usize, String)>> {
    let url = format!("ftp://{server}/file");
    let options = ["--quiet", "--log", "log", "--connections", "3", "--min-segment", "64K"];
    let done = Pftp::new(options).arg(url).run();
    let log = String::from_utf8(done.read("log"))?;
    let of = |thread: usize| {
        let prefix = format!("Thread {thread}: ");
        let lines = log.lines().filter_map(|line| line.strip_prefix(&prefix));
        (thread, lines.map(|line| format!("{line}\n")).collect::<String>())
    };
    Ok((1..=3).map(of).collect())
}

/// Returns the answers to [`QUESTIONS`] in the form of a log.
fn ask(server: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut parser = ReplyParser::new(1 << 16);
    let mut log = String::new();
    hear(&mut stream, &mut parser, &mut log)?;
    for question in QUESTIONS {
        log += &format!("C->S: {question}\n");
        stream.write_all(format!("{question}\r\n").as_bytes())?;
        hear(&mut stream, &mut parser, &mut log).with_context(|| format!("no answer to {question}"))?;
    }
    Ok(log)
}

fn hear(stream: &mut TcpStream, parser: &mut ReplyParser, log: &mut String) -> Result<()> {
    let mut buffer = [0; 4096];
    loop {
        if let Some(reply) = parser.next()? {
            log.extend(lines(&reply));
            return Ok(());
        }
        let len = stream.read(&mut buffer)?;
        anyhow::ensure!(len > 0, "the server has closed the connection");
        parser.push(&buffer[..len]);
    }
}

fn lines(reply: &Reply) -> Vec<String> {
    reply.raw_lines().map(|line| format!("S->C: {}\n", String::from_utf8_lossy(line))).collect()
}
