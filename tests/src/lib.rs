//! Shared parts of pftp's tests: a model FTP server with a driver on loopback sockets, real FTP servers, the
//! simulation, and the checks of the fuzz targets.

pub mod binary;
pub mod command;
pub mod dialog;
pub mod fuzzing;
pub mod loopback;
pub mod model;
pub mod patience;
pub mod raw;
pub mod servers;
pub mod sim;
