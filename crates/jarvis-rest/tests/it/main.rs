//! The data API against PostgreSQL.

#![cfg(test)]

mod configured;
mod conformance;
mod films;
mod grammar;
mod hostile;
mod identity;
mod library;
