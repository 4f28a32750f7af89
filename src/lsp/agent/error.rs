//! Why a call to the agent failed, and what its status means.

use tonic::{Code, Status};

use super::local::LocalError;

/// Why a call to the agent failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    /// The settings cannot work: a token in clear, an unreadable certificate.
    #[error("{0}")]
    Settings(String),
    /// Our own agent could not be started.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// Nobody answers there.
    #[error(
        "the agent at {address} cannot be reached: {why}; check the address, or remove it to use a local agent"
    )]
    Unreachable {
        /// Where it should be.
        address: String,
        /// What the connection said.
        why: String,
    },
    /// Somebody is there who may not be the agent: nothing was sent.
    #[error(
        "the certificate of the agent at {address} is not trusted: {why}; name the authority that signed it with \
         agent.tls.ca, or the name that it is for with agent.tls.serverName"
    )]
    Untrusted {
        /// Who was asked.
        address: String,
        /// What is wrong with the certificate.
        why: String,
    },
    /// It is there and took too long.
    #[error("the agent did not answer `{call}` within {seconds} s; try again, or look at its log")]
    Deadline {
        /// The call, in words.
        call: &'static str,
        /// The deadline that passed.
        seconds: u64,
    },
    /// The request went out and no answer came, so the operation may run.
    #[error(
        "no answer to the start came, so it may be running: {0}; \
         the same start under the same session id joins it, or is the first"
    )]
    Unanswered(Box<AgentError>),
    /// It answered with a refusal.
    #[error("{}", refusal(.0))]
    Refused(Box<Status>),
}

impl AgentError {
    /// Whether trying again later can help without the user doing something.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// Whether asking again later is of no use, because it was answered or cannot even be asked.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Settings(_))
    }

    /// Whether the agent says that it knows no such session.
    pub(crate) fn is_unknown_session(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code() == Code::NotFound)
    }
}

/// Whether the status was made by a broken connection. A status that an agent sent has no source; one that the
/// transport made has.
pub(super) fn broken(status: &Status) -> bool {
    status.code() == Code::Unavailable || std::error::Error::source(status).is_some()
}

/// The innermost cause: tonic's own words ("transport error") say nothing.
pub(super) fn reason(status: &Status) -> String {
    let mut cause: &dyn std::error::Error = status;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if std::ptr::addr_eq(cause, status) { status.message().to_owned() } else { cause.to_string() }
}

fn refusal(status: &Status) -> String {
    match status.code() {
        Code::Unauthenticated => format!(
            "the agent does not accept the token: {}; set KTL_REMOTE_TOKEN, or agent.tokenEnv or agent.tokenFile in .ktl.yaml",
            status.message()
        ),
        Code::Unimplemented => {
            "this agent does not speak ktl.control.v1, so nothing can be started on it from here; use a current ktl-agent"
                .to_owned()
        }
        _ => status.message().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_agent_is_no_broken_connection() {
        assert!(!broken(&Status::not_found("no session x")));
        assert!(broken(&Status::unavailable("shutting down")));
        assert!(broken(&Status::from_error(Box::new(std::io::Error::other("reset")))));
    }

    #[test]
    fn the_reason_is_the_innermost_cause() {
        let status = Status::from_error(Box::new(std::io::Error::other("connection reset")));
        assert!(reason(&status).contains("connection reset"), "{}", reason(&status));
    }
}
