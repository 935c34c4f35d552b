//! One command, one file, one function.

pub mod audit;
pub mod backup;
pub mod bench;
pub mod consent;
pub mod db;
pub mod demo;
pub mod doctor;
pub mod eval;
pub mod fact;
pub mod fake_openai;
pub mod r#gen;
pub mod gym;
pub mod keys;
pub mod kiosk;
pub mod member;
pub mod migration;
pub mod recall;
pub mod restore;
pub mod retention;
pub mod serve;
pub mod serve_rest;
pub mod session;
pub mod token;
pub mod up;
pub mod user;
pub mod worker;
