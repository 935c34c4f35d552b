//! The life of a conversation.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

macro_rules! wire_words {
    ($(#[$doc:meta])* $name:ident, $error:ident, $message:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// As written in the database and on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        #[doc = concat!("Why a text is no [`", stringify!($name), "`].")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error($message)]
        pub struct $error;

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text).ok_or($error)
            }
        }
    };
}

wire_words! {
    /// Where a session stands. `Processed`, `Empty` and `Failed` are ends; an operator can process again.
    SessionState, UnknownSessionState, "a session state is one of open, closing, processed, empty, failed" {
        /// The conversation runs.
        Open = "open",
        /// It ended and waits for its memory to be made.
        Closing = "closing",
        /// It has its summary.
        Processed = "processed",
        /// Nothing to remember: no user turn, or no consent (see the state's reason).
        Empty = "empty",
        /// Processing gave up; the last error is on the session.
        Failed = "failed",
    }
}

wire_words! {
    /// How the member talks.
    Channel, UnknownChannel, "a channel is one of voice, text, external" {
        /// By voice at a kiosk.
        Voice = "voice",
        /// By text.
        Text = "text",
        /// Recorded by another application through the data API.
        External = "external",
    }
}

wire_words! {
    /// Why a session ended.
    EndReason, UnknownEndReason,
    "an end reason is one of goodbye, idle, badge_change, disconnect, kiosk_restart, limit, orphaned, client, operator" {
        /// The member said goodbye, or pressed the button.
        Goodbye = "goodbye",
        /// Nobody spoke for a while.
        Idle = "idle",
        /// Another badge was presented.
        BadgeChange = "badge_change",
        /// The connection was lost.
        Disconnect = "disconnect",
        /// The kiosk restarted.
        KioskRestart = "kiosk_restart",
        /// The longest allowed duration was reached.
        Limit = "limit",
        /// Nobody closed it; the server did.
        Orphaned = "orphaned",
        /// The client closed it without saying why.
        Client = "client",
        /// An operator closed it.
        Operator = "operator",
    }
}
