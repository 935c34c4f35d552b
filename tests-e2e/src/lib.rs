//! Tests of the built program as people and kiosks use it: commands, HTTP, signals. See `tests/it`.
