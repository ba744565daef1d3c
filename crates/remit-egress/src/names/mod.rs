//! Names of a session: who may be looked up, and the listeners that are born with the answer.

pub(crate) mod answer;
mod budget;
mod directory;
mod repeats;
mod server;

pub(crate) use budget::SaidNames;
pub(crate) use directory::Directory;
pub(crate) use server::serve_names;
