//! A body as a message: a request, a notification or an answer, or the words for why it is none.
//!
//! JSON is read into a tree here and typed later, per method, so one bad member costs one message.

use serde_json::{Map, Value};
use tower_lsp::jsonrpc::{Error, ErrorCode, Id, Response};

use super::uri;

/// A message from the client.
#[derive(Debug)]
pub(crate) enum Incoming {
    Request { id: Id, method: String, params: Option<Value> },
    Notification { method: String, params: Option<Value> },
    Answer(Response),
}

/// Why a body is no message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the message is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("batches are not part of the language server protocol; send one message per frame")]
    Batch,
    #[error("{what}")]
    Shape { id: Id, what: &'static str },
}

impl Malformed {
    /// The error response that it is answered with; the id is null where the message did not say one.
    pub(crate) fn into_response(self) -> Response {
        let code = match self {
            Self::Json(_) => ErrorCode::ParseError,
            Self::Batch | Self::Shape { .. } => ErrorCode::InvalidRequest,
        };
        let message = self.to_string().into();
        let id = match self {
            Self::Shape { id, .. } => id,
            Self::Json(_) | Self::Batch => Id::Null,
        };
        Response::from_error(id, Error { code, message, data: None })
    }
}

impl Incoming {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Malformed> {
        match serde_json::from_slice(body)? {
            Value::Object(members) => Self::from_members(members),
            Value::Array(_) => Err(Malformed::Batch),
            _ => Err(Malformed::Shape { id: Id::Null, what: "a message is a JSON object" }),
        }
    }

    fn from_members(mut members: Map<String, Value>) -> Result<Self, Malformed> {
        let id = members.remove("id").map(id_of).transpose()?;
        let method = match members.remove("method") {
            Some(Value::String(method)) => method,
            Some(_) => return Err(shape(id, "`method` is not a string")),
            None => return answer(id, members),
        };
        let mut params = members.remove("params");
        if let Some(params) = &mut params {
            uri::mend(params);
        }
        Ok(match id {
            Some(Id::Null) => return Err(shape(None, "`id` is null; expected a number or a string")),
            Some(id) => Self::Request { id, method, params },
            None => Self::Notification { method, params },
        })
    }
}

fn id_of(value: Value) -> Result<Id, Malformed> {
    serde_json::from_value(value).map_err(|_| shape(None, "`id` is neither a whole number nor a string"))
}

fn answer(id: Option<Id>, mut members: Map<String, Value>) -> Result<Incoming, Malformed> {
    let Some(id) = id else { return Err(shape(None, "a message needs a `method` or an `id`")) };
    let error = members.remove("error").filter(|error| !error.is_null());
    let body = match (error, members.remove("result")) {
        (Some(error), _) => Err(error_of(&error)),
        (None, Some(result)) => Ok(result),
        (None, None) => return Err(shape(Some(id), "a message needs a `method`, a `result` or an `error`")),
    };
    Ok(Incoming::Answer(Response::from_parts(id, body)))
}

/// Takes what a client calls an error: some send a bare string, some leave members out.
fn error_of(error: &Value) -> Error {
    let code = error.get("code").and_then(Value::as_i64).unwrap_or_else(|| ErrorCode::InternalError.code());
    let message = match error.get("message").unwrap_or(error) {
        Value::String(message) => message.clone(),
        other => other.to_string(),
    };
    Error { code: code.into(), message: message.into(), data: error.get("data").cloned() }
}

fn shape(id: Option<Id>, what: &'static str) -> Malformed {
    Malformed::Shape { id: id.unwrap_or_default(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> (Id, i64) {
        let response = Incoming::parse(body.as_bytes()).unwrap_err().into_response();
        let code = response.error().unwrap().code.code();
        (response.id().clone(), code)
    }

    #[test]
    fn the_three_kinds_are_told_apart() {
        let parse = |body: &str| Incoming::parse(body.as_bytes()).unwrap();
        assert!(matches!(parse(r#"{"id":1,"method":"m"}"#), Incoming::Request { id: Id::Number(1), .. }));
        assert!(matches!(parse(r#"{"id":"a","method":"m"}"#), Incoming::Request { id: Id::String(_), .. }));
        assert!(matches!(parse(r#"{"method":"m","params":{}}"#), Incoming::Notification { .. }));
        assert!(matches!(parse(r#"{"id":1,"result":null}"#), Incoming::Answer(_)));
    }

    #[test]
    fn what_is_no_message_says_why_with_the_right_code() {
        assert_eq!(refused(r#"{"id":1,"#), (Id::Null, -32700));
        assert_eq!(refused("{\"method\":\"\u{1}\"}"), (Id::Null, -32700));
        assert_eq!(refused(r#"[{"id":1,"method":"m"}]"#), (Id::Null, -32600));
        assert_eq!(refused("7"), (Id::Null, -32600));
        assert_eq!(refused(r#"{"id":7}"#), (Id::Number(7), -32600));
        assert_eq!(refused(r#"{"id":7,"method":4}"#), (Id::Number(7), -32600));
        assert_eq!(refused(r#"{"id":1.5,"method":"m"}"#), (Id::Null, -32600));
        assert_eq!(refused(r#"{"id":null,"method":"m"}"#), (Id::Null, -32600));
        assert_eq!(refused("{}"), (Id::Null, -32600));
    }

    #[test]
    fn invalid_utf8_is_a_parse_error() {
        let error = Incoming::parse(b"{\"method\":\"\xff\"}").unwrap_err();
        assert_eq!(error.into_response().error().unwrap().code, ErrorCode::ParseError);
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_stack_overflow() {
        let deep = "[".repeat(100_000);
        assert!(matches!(Incoming::parse(deep.as_bytes()), Err(Malformed::Json(_))));
    }

    #[test]
    fn any_error_that_a_client_sends_reaches_the_waiting_caller() {
        for body in [
            r#"{"id":3,"error":{"code":-32601,"message":"no"}}"#,
            r#"{"id":3,"error":{"code":-32601,"message":"no","data":null,"extra":1}}"#,
            r#"{"id":3,"error":"no"}"#,
            r#"{"id":3,"error":{}}"#,
        ] {
            let Ok(Incoming::Answer(response)) = Incoming::parse(body.as_bytes()) else { panic!("{body}") };
            assert!(response.is_error(), "{body}");
        }
    }
}
