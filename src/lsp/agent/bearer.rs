//! Puts the token on each call.

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};

use crate::settings::Token;

/// The token as a header, or nothing for an agent without one.
#[derive(Clone)]
pub(super) struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    /// Fails on a token that cannot stand in a header, such as one with a line break.
    pub(super) fn new(token: Option<&Token>) -> Result<Self, String> {
        let Some(token) = token else { return Ok(Self(None)) };
        let mut header: MetadataValue<Ascii> =
            format!("Bearer {}", token.reveal()).parse().map_err(|_| {
                "the agent's token has characters that cannot be sent; a token is one line of visible ASCII"
                    .to_owned()
            })?;
        header.set_sensitive(true);
        Ok(Self(Some(header)))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.0 {
            request.metadata_mut().insert("authorization", header.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_becomes_a_header_that_debug_output_hides() {
        let mut bearer = Bearer::new(Some(&Token::new("s3cret"))).unwrap();
        let request = bearer.call(Request::new(())).unwrap();
        let header = request.metadata().get("authorization").unwrap();
        assert_eq!(header, "Bearer s3cret");
        assert!(!format!("{header:?}").contains("s3cret"));
    }

    #[test]
    fn a_token_with_a_line_break_is_refused() {
        assert!(Bearer::new(Some(&Token::new("a\nb"))).is_err());
    }
}
