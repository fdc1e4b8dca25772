//! The `pftp` command against real servers: every case over every transport and with every server.

#[path = "real/call.rs"]
mod call;
#[path = "real/checksum.rs"]
mod checksum;
#[path = "real/cut.rs"]
mod cut;
#[path = "real/dialog.rs"]
mod dialog;
#[path = "real/failures.rs"]
mod failures;
#[path = "real/files.rs"]
mod files;
#[path = "real/log.rs"]
mod log;
#[path = "real/mirrors.rs"]
mod mirrors;
#[path = "real/names.rs"]
mod names;
#[path = "real/site.rs"]
mod site;
#[path = "real/streams.rs"]
mod streams;

/// Defines the tests: a module for each transport, and in it one for each server.
mod over {
    macro_rules! transports {
        ($($transport:ident)*) => {
            $(
                mod $transport {
                    each_server!($transport: vsftpd Vsftpd proftpd ProFtpd pure_ftpd PureFtpd pyftpdlib Pyftpdlib);
                    whatever_server!($transport: failures::{closed_port unknown_host}
                        mirrors::{servers_of_every_make});
                }
            )*
        };
    }

    macro_rules! each_server {
        ($transport:ident: $($module:ident $kind:ident)*) => {
            $(
                mod $module {
                    cases! {
                        $transport $kind:
                        checksum::{
                            checksum_of_a_list
                            checksum_of_a_sidecar
                            checksum_that_is_computed
                            checksum_that_is_wrong
                            checksum_that_nobody_has
                        }
                        cut::{
                            cut_while_the_server_waits
                            cut_while_the_server_writes
                            cut_with_data_connections_made_ahead
                        }
                        dialog::{log_of_a_download_with_a_password log_of_an_anonymous_download}
                        failures::{missing_directory missing_file wrong_password}
                        files::{
                            anonymous_gets_a_file
                            eight_connections
                            eight_connections_for_64_mib
                            fewer_bytes_than_connections
                            no_byte
                            one_byte
                            one_connection
                            sixteen_connections
                            two_bytes
                            two_connections
                            user_gets_a_file
                        }
                        mirrors::{config_file}
                        names::{
                            absolute_path_after_an_escaped_slash
                            absolute_path_after_two_slashes
                            odd_name_as_an_option
                            odd_name_in_a_url
                            path_from_the_login_directory
                        }
                        streams::{file_on_standard_output text_in_ascii_mode}
                    }
                }
            )*
        };
    }

    macro_rules! cases {
        ($transport:ident $kind:ident: $($file:ident::{$($case:ident)*})*) => {
            $($(
                #[test]
                fn $case() {
                    let kind = pftp_tests::servers::Kind::$kind;
                    crate::$file::$case(crate::site::Setup { kind, transport: stringify!($transport) });
                }
            )*)*
        };
    }

    macro_rules! whatever_server {
        ($transport:ident: $($file:ident::{$($case:ident)*})*) => {
            $($(
                #[test]
                fn $case() {
                    crate::$file::$case(stringify!($transport));
                }
            )*)*
        };
    }

    transports!(std mio);
}
