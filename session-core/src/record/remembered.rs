//! For how long the past is remembered, so that a late request can be judged (law 13).

use std::time::Duration;

/// For how long a store remembers what a late request has to know of the past: the end of a
/// session, and tokens that were renewed or rotated away. Common proxies give up on a request
/// after a minute.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(60);

/// A request that is opened this long after it arrived is late: its session may have ended
/// meanwhile, and the mark may be over. If its token opens nothing, the request is mute.
pub(crate) const LATE: Duration = Duration::from_secs(10);
