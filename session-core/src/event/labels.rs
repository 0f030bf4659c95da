//! Names of variants, for the labels of counters.

/// Writes `label` for an enum, and the list of its variants. A variant that has something in it
/// comes with an example.
macro_rules! labels {
    ($(#[$meta:meta])* $type:ident { $($variant:ident $(($with:expr))? => $label:literal,)* }) => {
        impl $type {
            /// All of them.
            #[cfg(feature = "metrics")]
            pub(super) const ALL: [Self; [$($label),*].len()] = [$(Self::$variant $(($with))?),*];

            $(#[$meta])*
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $label,)*
                }
            }
        }
    };
}

/// Checks that `as usize` is the place of each variant in the list.
#[cfg(feature = "metrics")]
macro_rules! places {
    ($($type:ident),*) => {$(
        const _: () = {
            let mut place = 0;
            while place < $type::ALL.len() {
                assert!($type::ALL[place] as usize == place);
                place += 1;
            }
        };
    )*};
}

pub(super) use labels;
#[cfg(feature = "metrics")]
pub(super) use places;
