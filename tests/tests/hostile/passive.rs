//! Replies to EPSV and PASV that lead nowhere, or to another host.

use crate::table::Outcome::{Fails, Whole};
use crate::table::*;

/// A server with these replies to EPSV and PASV.
fn answers_both(epsv: &str, pasv: &str) -> Hostile {
    let (epsv, pasv) = (format!("{epsv}\r\n"), format!("{pasv}\r\n"));
    always(answering("EPSV", epsv).when(Trigger::every("PASV"), Reaction::Reply(pasv.into_bytes())))
}

/// A server with this reply to EPSV, and a correct one to PASV.
fn epsv(reply: &str) -> Hostile {
    answers("EPSV", &format!("{reply}\r\n"))
}

/// A server that does not know EPSV, with this reply to PASV.
fn pasv(reply: &str) -> Hostile {
    answers_both("500 What?", reply)
}

rows! {
    epsv_port_0: "answers EPSV with port 0" => Whole, epsv("229 (|||0|)");
    epsv_port_65536: "answers EPSV with port 65536" => Whole, epsv("229 (|||65536|)");
    epsv_port_missing: "answers EPSV without a port" => Whole, epsv("229 Entering.");
    epsv_port_of_40_digits: "answers EPSV with a port of 40 digits" => Whole,
        epsv("229 (|||1234567890123456789012345678901234567890|)");
    epsv_completion: "answers EPSV 200" => Whole, epsv("200 Fine.");
    epsv_refused: "refuses EPSV with 522" => Whole, epsv("522 No.");
    epsv_refused_for_good: "refuses EPSV and PASV" => Fails(7, "PASV was refused: 425 No."), answers_both("522 No.", "425 No.");
    epsv_unanswered: "never answers EPSV" => Fails(7, "within the time limit"),
        always(Behaviour::default().when(Trigger::every("EPSV"), Reaction::Ignore)).in_silence();
    epsv_names_a_host: "answers EPSV with the address of another host" => Whole,
        odd(|peer, command| {
            if command != "EPSV" {
                return Ok(false);
            }
            let port = peer.listen()?;
            peer.say(format!("229 Listening (|1|127.0.0.2|{port}|)\r\n"))?;
            Ok(true)
        });
    epsv_port_that_refuses: "answers EPSV with a port that refuses connections"
        => Fails(7, "RETR was refused: 425 Use PORT"), epsv("229 (|||1|)");
    epsv_port_of_its_own: "answers EPSV with the port of its control connection" => Fails(7, "RETR was refused: 425 Nobody came."),
        odd(|peer, command| {
            match command.split(' ').next() {
                Some("EPSV") => {
                    let port = peer.port()?;
                    peer.say(format!("229 Listening (|||{port}|)\r\n"))?;
                }
                Some("RETR") => peer.say("425 Nobody came.\r\n")?,
                _ => return Ok(false),
            }
            Ok(true)
        });
    pasv_port_0: "answers PASV with port 0" => Fails(7, "no usable port in: 227 (127,0,0,1,0,0)"), pasv("227 (127,0,0,1,0,0)");
    pasv_number_256: "answers PASV with a number of 256" => Fails(7, "no usable port in: 227 (127,0,0,1,256,1)"),
        pasv("227 (127,0,0,1,256,1)");
    pasv_five_numbers: "answers PASV with five numbers" => Fails(7, "no usable port in: 227 (127,0,0,1,9)"), pasv("227 (127,0,0,1,9)");
    pasv_no_numbers: "answers PASV without numbers" => Fails(7, "no usable port in: 227 Entering."), pasv("227 Entering.");
    pasv_numbers_below_zero: "answers PASV with numbers below zero" => Fails(7, "no usable port in: "),
        pasv("227 (127,0,0,-1,-9,-9)");
    pasv_names_a_foreign_host: "answers PASV with the address of another host" => Whole,
        always(Behaviour { passive_host: Some([127, 0, 0, 2].into()), ..Behaviour::default() }.without("EPSV"));
    pasv_names_no_host: "answers PASV with 0.0.0.0" => Whole,
        always(Behaviour { passive_host: Some([0, 0, 0, 0].into()), ..Behaviour::default() }.without("EPSV"));
    pasv_names_no_host_that_is_trusted: "answers PASV with 0.0.0.0, and is trusted" => Whole,
        always(Behaviour { passive_host: Some([0, 0, 0, 0].into()), ..Behaviour::default() }).with("--trust-pasv-address");
    pasv_names_an_address_that_refuses: "answers PASV with an address that refuses connections, and is trusted"
        => Fails(7, "data connection: connection refused"),
        always(Behaviour { passive_host: Some([127, 0, 0, 3].into()), ..Behaviour::default() }).with("--trust-pasv-address").in_silence();
}
