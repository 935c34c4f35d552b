//! The data API against PostgreSQL.

#![cfg(test)]

mod configured;
mod conformance;
mod cut;
mod films;
mod grammar;
mod hostile;
mod identity;
mod library;
mod openapi;
mod well_formed;
