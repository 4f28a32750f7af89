//! Where the server stands between `initialize` and `exit`, and what may be asked of it there.

use tower_lsp::jsonrpc::{Error, ErrorCode};

/// The life of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// `initialize` has not come, or has failed.
    Fresh,
    Running,
    /// `shutdown` has come; only `exit` may follow.
    ShutDown,
}

/// JSON-RPC's code for a server that was not initialized.
const NOT_INITIALIZED: ErrorCode = ErrorCode::ServerError(-32002);

impl Phase {
    /// Whether a request may be served now.
    pub(crate) fn admit_request(self, method: &str) -> Result<(), Error> {
        let (code, message) = match (self, method) {
            (Self::Fresh, "initialize") => return Ok(()),
            (Self::Fresh, _) => {
                (NOT_INITIALIZED, format!("{method} came before initialize; send initialize first"))
            }
            (Self::Running, "initialize") => {
                (ErrorCode::InvalidRequest, "initialize came twice; start a new server instead".to_owned())
            }
            (Self::Running, _) => return Ok(()),
            (Self::ShutDown, _) => {
                (ErrorCode::InvalidRequest, format!("{method} came after shutdown; only exit may follow"))
            }
        };
        Err(Error { code, message: message.into(), data: None })
    }

    /// Whether a notification may be served now; one that may not is dropped, as there is nobody to tell.
    pub(crate) fn admits_notification(self) -> bool {
        self == Self::Running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_admits_what_the_protocol_says() {
        let code = |phase: Phase, method| phase.admit_request(method).err().map(|error| error.code.code());
        assert_eq!(code(Phase::Fresh, "initialize"), None);
        assert_eq!(code(Phase::Fresh, "textDocument/hover"), Some(-32002));
        assert_eq!(code(Phase::Fresh, "shutdown"), Some(-32002));
        assert_eq!(code(Phase::Running, "textDocument/hover"), None);
        assert_eq!(code(Phase::Running, "shutdown"), None);
        assert_eq!(code(Phase::Running, "initialize"), Some(-32600));
        assert_eq!(code(Phase::ShutDown, "textDocument/hover"), Some(-32600));
        assert_eq!(code(Phase::ShutDown, "shutdown"), Some(-32600));
        assert!(!Phase::Fresh.admits_notification());
        assert!(Phase::Running.admits_notification());
        assert!(!Phase::ShutDown.admits_notification());
    }
}
