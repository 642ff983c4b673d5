/// One of several, by name. One that has settings is a table with its name as the only field, or
/// just the name; `name:value` is short for a table with that value.
macro_rules! choices {
    ($(
        $(#[doc = $doc:literal])+
        pub enum $name:ident {
            $(
                $(#[doc = $variant_doc:literal])+
                $variant:ident $(($type:ty))? = $file:literal,
            )+
        }
    )+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq)]
        pub enum $name {
            $(
                $(#[doc = $variant_doc])+
                $variant $(($type))?,
            )+
        }

        impl $name {
            /// What the file calls it.
            pub const fn name(&self) -> &'static str {
                match self {
                    $( Self::$variant $((any_of!($type)))? => $file, )+
                }
            }
        }

        impl $crate::settings::setting::Setting for $name {
            fn read(
                node: &$crate::source::At<$crate::source::Node>,
                report: &mut $crate::problem::Reporter,
            ) -> Option<Self> {
                let names = [$($file),+];
                let (name, content) = $crate::settings::choice::chosen(node, &names, report)?;
                match name {
                    $( $file => variant_read!($variant $(($type))?, content, report), )+
                    _ => None,
                }
            }

            fn schema(
                definitions: &mut $crate::settings::setting::Definitions,
            ) -> serde_json::Value {
                let variants = [
                    $( {
                        let settings = variant_schema!($($type)?, definitions);
                        $crate::settings::choice::describe(
                            $file, &[$($variant_doc),+], settings, definitions,
                        )
                    }, )+
                ];
                $crate::settings::choice::schema(&variants)
            }

            fn show(&self) -> serde_json::Value {
                match self {
                    $( variant_pattern!($variant content $($type)?) => {
                        variant_show!($file, content $($type)?)
                    } )+
                }
            }

            fn forget(&mut self, path: &str) -> bool {
                match self {
                    $( variant_pattern!($variant content $($type)?) => {
                        variant_forget!($file, path, content $($type)?)
                    } )+
                }
            }

            fn find(&self, wanted: &str) -> Option<(String, $crate::source::Span)> {
                match self {
                    $( variant_pattern!($variant content $($type)?) => {
                        variant_find!($file, wanted, content $($type)?)
                    } )+
                }
            }
        }
    )+};
}

macro_rules! any_of {
    ($type:ty) => {
        _
    };
}

macro_rules! variant_read {
    ($variant:ident, $content:ident, $report:ident) => {
        $crate::settings::choice::nothing_more(&$content, $report).then_some(Self::$variant)
    };
    ($variant:ident ($type:ty), $content:ident, $report:ident) => {
        $crate::settings::choice::content::<$type>(&$content, $report).map(Self::$variant)
    };
}

macro_rules! variant_schema {
    (, $definitions:ident) => {
        None
    };
    ($type:ty, $definitions:ident) => {
        Some(<$type as $crate::settings::setting::Setting>::schema(
            $definitions,
        ))
    };
}

macro_rules! variant_pattern {
    ($variant:ident $content:ident) => {
        Self::$variant
    };
    ($variant:ident $content:ident $type:ty) => {
        Self::$variant($content)
    };
}

macro_rules! variant_show {
    ($file:literal, $content:ident) => { serde_json::Value::from($file) };
    ($file:literal, $content:ident $type:ty) => {
        serde_json::json!({ $file: $crate::settings::setting::Setting::show($content) })
    };
}

macro_rules! variant_find {
    ($file:literal, $wanted:ident, $content:ident) => {{
        let _ = $wanted;
        None
    }};
    ($file:literal, $wanted:ident, $content:ident $type:ty) => {{
        let (path, span) = $crate::settings::setting::Setting::find($content, $wanted)?;
        Some((format!("{}.{path}", $file), span))
    }};
}

macro_rules! variant_forget {
    ($file:literal, $path:ident, $content:ident) => {{
        let _ = $path;
        false
    }};
    ($file:literal, $path:ident, $content:ident $type:ty) => {
        $crate::settings::setting::below($path, $file)
            .is_some_and(|rest| $crate::settings::setting::Setting::forget($content, rest))
    };
}
