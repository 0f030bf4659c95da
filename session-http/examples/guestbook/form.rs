//! Forms: one field of a body that is not trusted.

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, StatusCode};

const LARGEST_BODY: usize = 64 * 1024;
const LONGEST_FIELD: usize = 2_000;

/// Why a form was refused.
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) reason: &'static str,
}

const fn refuse<T>(status: StatusCode, reason: &'static str) -> Result<T, Refusal> {
    Err(Refusal { status, reason })
}

/// The text of the only field of this name.
pub(crate) async fn field(request: Request<Incoming>, name: &str) -> Result<String, Refusal> {
    let urlencoded = request.headers().get(CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind
            .as_bytes()
            .split(|byte| *byte == b';')
            .next()
            .unwrap_or_default();
        kind.trim_ascii()
            .eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    });
    let body = match Limited::new(request.into_body(), LARGEST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "The form is larger than 64 KiB.");
        }
        Err(_) => return refuse(StatusCode::BAD_REQUEST, "The form did not arrive whole."),
    };
    if !urlencoded {
        return refuse(StatusCode::BAD_REQUEST, "This is not a form.");
    }
    let mut values = form_urlencoded::parse(&body)
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value);
    let (Some(value), None) = (values.next(), values.next()) else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "The form lacks its field, or has it twice.",
        );
    };
    let text = value.trim();
    if text.is_empty() || text.len() > LONGEST_FIELD {
        return refuse(
            StatusCode::BAD_REQUEST,
            "The text is empty or longer than 2,000 bytes.",
        );
    }
    Ok(text.to_owned())
}
