//! What the tests of pftp share: a model FTP server with its driver on loopback sockets, and real FTP servers.

pub mod binary;
pub mod command;
pub mod dialog;
pub mod loopback;
pub mod model;
pub mod servers;
pub mod sim;
