//! Sizes that are missing, absurd or wrong.

use crate::table::Outcome::{Fails, Whole};
use crate::table::*;

fn size_error(bytes: i64) -> Hostile {
    always(Behaviour { size_error: bytes, ..Behaviour::default() })
}

rows! {
    size_not_known: "knows neither SIZE nor MLST" => Whole, always(Behaviour::default().without("SIZE").without("MLST"));
    size_not_known_but_to_mlst: "knows no SIZE" => Whole, always(Behaviour::default().without("SIZE"));
    nothing_known: "knows neither SIZE nor MDTM nor MLST" => Whole,
        always(Behaviour::default().without("SIZE").without("MDTM").without("MLST"));
    size_refused_until_type_i: "refuses SIZE until TYPE I has come" => Whole,
        odd(|peer, command| {
            // In a burst, TYPE I has come before.
            if !command.starts_with("USER") {
                return Ok(false);
            }
            peer.usual(command)?;
            let mut image = false;
            loop {
                let command = peer.hear()?;
                image |= command == "TYPE I";
                if !image && command.starts_with("SIZE") {
                    peer.say("550 SIZE not allowed in ASCII mode.\r\n")?;
                } else {
                    peer.usual(&command)?;
                }
            }
        });
    size_refused: "refuses SIZE of a file it has" => Whole, answers("SIZE", "550 No.\r\n");
    size_without_a_number: "answers SIZE without a number" => Whole, answers("SIZE", "213 large\r\n");
    size_below_zero: "answers SIZE -1" => Whole, answers("SIZE", "213 -1\r\n");
    size_of_2_to_the_63: "answers SIZE 2^63" => Whole, answers("SIZE", "213 9223372036854775808\r\n");
    size_of_2_to_the_64: "answers SIZE 2^64 + 300,000" => Whole, answers("SIZE", "213 18446744073709851616\r\n");
    size_of_40_digits: "answers SIZE with 40 digits" => Whole,
        answers("SIZE", "213 1234567890123456789012345678901234567890\r\n");
    size_of_2_to_the_62: "answers SIZE 2^62" => Fails(9, "the file has 4611686018427387904 bytes, and there is room for"),
        answers("SIZE", "213 4611686018427387904\r\n");
    size_of_2_to_the_63_less_1: "answers SIZE 2^63 - 1" => Fails(9, "the file has 9223372036854775807 bytes, and there is room for"),
        answers("SIZE", "213 9223372036854775807\r\n");
    size_of_0: "answers SIZE 0" => Fails(8, "more data came than the 0 bytes the file has"), answers("SIZE", "213 0\r\n");
    size_one_too_small: "says a size one too small" => Fails(8, "more data came than the 299999 bytes"), size_error(-1);
    size_much_too_small: "says a third of the size" => Fails(8, "more data came than the 100000 bytes"), size_error(-200_000);
    size_one_too_large: "says a size one too large" => Fails(8, "the server ended the transfer at byte 300000 of 300001"), size_error(1);
    size_much_too_large: "says a size 100 MiB too large" => Fails(8, "of 105157600"), size_error(100 << 20);
    time_nonsense: "answers MDTM with nonsense" => Whole, answers("MDTM", "213 99999999999999\r\n");
    data_without_end: "says a size, and sends data without end" => Fails(8, "more data came than the 300000 bytes"),
        odd(|peer, command| {
            if !command.starts_with("RETR") {
                return Ok(false);
            }
            use std::io::Write as _;
            let mut data = peer.data()?;
            peer.say("150 Here it comes.\r\n")?;
            data.write_all(&peer.wanted())?;
            loop {
                data.write_all(&[0; 4096])?;
            }
        });
}
