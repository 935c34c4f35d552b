//! Makes cargo look at the migrations again when a file is added: `include_dir!` alone notices only changes.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../../supabase/migrations");
}
