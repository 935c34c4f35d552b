//! Types of another language for what schemas hold: the catalogue is read once, and written in that language.

mod calls;
mod nodes;
mod nullability;
mod order;
mod read;
mod relationships;
mod rust;
mod rust_names;
mod typescript;

pub use read::{Catalogue, ReadError};

impl Catalogue {
    /// As TypeScript, in the form that `createClient<Database>` of supabase-js takes: what `supabase gen types` prints, after
    /// formatting.
    pub fn typescript(&self) -> String {
        typescript::write(self)
    }

    /// As Rust, for `serde` and `serde_json`: what the data API sends and takes, as structs and enums.
    pub fn rust(&self) -> String {
        rust::write(self)
    }
}
