//! Each table of the file is declared once. Reading, describing and showing follow from that.

/// Tables. Each field is `required` or `optional`, or a table whose fields stand in this one
/// (`flatten`). A name in parentheses is the file's, where Rust has another; names after `|` are
/// what builders call it. A table with a `shorthand` may be written as just that field.
macro_rules! settings {
    ($(
        $(#[doc = $doc:literal])+
        $(#[derive($derive:ident)])?
        pub struct $name:ident {
            $(shorthand $short:ident;)?
            $(
                $(#[doc = $field_doc:literal])+
                $kind:ident $field:ident $(($file:literal))? $(| $alias:literal)* : $type:ty,
            )+
        }
    )+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq $(, $derive)?)]
        pub struct $name {
            $(
                $(#[doc = $field_doc])+
                pub $field: field_type!($kind $type),
            )+
        }

        impl $crate::settings::setting::Setting for $name {
            fn read(
                node: &$crate::source::At<$crate::source::Node>,
                report: &mut $crate::problem::Reporter,
            ) -> Option<Self> {
                $crate::settings::setting::read_table(node, shorthand!($($short)?), report)
            }

            fn read_wanted(
                node: &$crate::source::At<$crate::source::Node>,
                report: &mut $crate::problem::Reporter,
            ) -> Option<Self> {
                $crate::settings::setting::wanted(node, report)
            }

            fn schema(
                definitions: &mut $crate::settings::setting::Definitions,
            ) -> serde_json::Value {
                let shorthand = shorthand!($($short)?);
                $crate::settings::setting::schema_of::<Self>(
                    stringify!($name), &[$($doc),+], shorthand, definitions,
                )
            }

            fn show(&self) -> serde_json::Value {
                let mut shown = serde_json::Map::new();
                $crate::settings::setting::Fields::show_fields(self, &mut shown);
                serde_json::Value::Object(shown)
            }

            fn find(&self, wanted: &str) -> Option<(String, $crate::source::Span)> {
                let mut found = None;
                $(
                    let name = file_name!($field $($file)?);
                    let aliases: &[&str] = &[$($alias),*];
                    field_find!($kind self.$field, found, name, aliases, wanted);
                )+
                $(
                    let name = file_name!($field $($file)?);
                    field_below!($kind self.$field, found, name, wanted);
                )+
                found
            }

            fn forget(&mut self, path: &str) -> bool {
                $(
                    if field_forget!($kind self.$field, file_name!($field $($file)?), path) {
                        return true;
                    }
                )+
                false
            }
        }

        impl $crate::settings::setting::Fields for $name {
            fn names() -> &'static [&'static str] {
                static NAMES: std::sync::OnceLock<Vec<&'static str>> = std::sync::OnceLock::new();
                NAMES.get_or_init(|| {
                    let mut names = Vec::new();
                    $( field_names!($kind $type, names, file_name!($field $($file)?)); )+
                    names
                })
            }

            fn read_fields(
                table: &$crate::source::Table,
                span: $crate::source::Span,
                report: &mut $crate::problem::Reporter,
            ) -> Option<Self> {
                let _ = span;
                $(
                    let $field = field_read!(
                        $kind $type, file_name!($field $($file)?), table, span, report
                    );
                )+
                Some(Self { $( $field: field_take!($kind $field), )+ })
            }

            fn describe(
                object: &mut $crate::settings::setting::ObjectSchema,
                definitions: &mut $crate::settings::setting::Definitions,
            ) {
                $( field_describe!(
                    $kind $type, file_name!($field $($file)?), &[$($field_doc),+], object, definitions
                ); )+
            }

            fn show_fields(&self, shown: &mut serde_json::Map<String, serde_json::Value>) {
                $( field_show!($kind self.$field, file_name!($field $($file)?), shown); )+
            }
        }
    )+};
}

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

macro_rules! shorthand {
    () => {
        None
    };
    ($field:ident) => {
        Some(stringify!($field))
    };
}

macro_rules! file_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $file:literal) => {
        $file
    };
}

macro_rules! field_type {
    (required $type:ty) => { $crate::source::At<$type> };
    (optional $type:ty) => { Option<$crate::source::At<$type>> };
    (flatten $type:ty) => { $type };
}

macro_rules! field_read {
    (required $type:ty, $name:expr, $table:ident, $span:ident, $report:ident) => {
        $crate::settings::setting::read_required::<$type>($table, $name, $span, $report)
    };
    (optional $type:ty, $name:expr, $table:ident, $span:ident, $report:ident) => {
        $crate::settings::setting::read_optional::<$type>($table, $name, $report)
    };
    (flatten $type:ty, $name:expr, $table:ident, $span:ident, $report:ident) => {
        <$type as $crate::settings::setting::Fields>::read_fields($table, $span, $report)
    };
}

macro_rules! field_take {
    (optional $field:ident) => {
        $field
    };
    ($kind:ident $field:ident) => {
        $field?
    };
}

macro_rules! field_names {
    (flatten $type:ty, $names:ident, $name:expr) => {
        $names.extend(<$type as $crate::settings::setting::Fields>::names())
    };
    ($kind:ident $type:ty, $names:ident, $name:expr) => {
        $names.extend([$name])
    };
}

macro_rules! field_describe {
    (flatten $type:ty, $name:expr, $docs:expr, $object:ident, $definitions:ident) => {
        <$type as $crate::settings::setting::Fields>::describe($object, $definitions)
    };
    ($kind:ident $type:ty, $name:expr, $docs:expr, $object:ident, $definitions:ident) => {{
        let schema = <$type as $crate::settings::setting::Setting>::schema($definitions);
        $object.add($name, $docs, is_required!($kind), schema)
    }};
}

macro_rules! is_required {
    (required) => {
        true
    };
    (optional) => {
        false
    };
}

macro_rules! field_show {
    (required $field:expr, $name:expr, $shown:ident) => {{
        let value = $crate::settings::setting::Setting::show(&*$field);
        $shown.insert($name.to_owned(), value);
    }};
    (optional $field:expr, $name:expr, $shown:ident) => {
        if let Some(field) = &$field {
            let value = $crate::settings::setting::Setting::show(&**field);
            $shown.insert($name.to_owned(), value);
        }
    };
    (flatten $field:expr, $name:expr, $shown:ident) => {
        $crate::settings::setting::Fields::show_fields(&$field, $shown)
    };
}

macro_rules! field_find {
    (required $field:expr, $found:ident, $name:ident, $aliases:ident, $wanted:ident) => {
        $found = $found
            .or_else(|| $crate::settings::setting::find_in(&$field, $name, $aliases, $wanted));
    };
    (optional $field:expr, $found:ident, $name:ident, $aliases:ident, $wanted:ident) => {
        if let Some(field) = &$field {
            $found = $found
                .or_else(|| $crate::settings::setting::find_in(field, $name, $aliases, $wanted));
        }
    };
    (flatten $field:expr, $found:ident, $name:ident, $aliases:ident, $wanted:ident) => {
        let _ = ($name, $aliases);
        $found = $found.or_else(|| $crate::settings::setting::Setting::find(&$field, $wanted));
    };
}

macro_rules! field_below {
    (required $field:expr, $found:ident, $name:ident, $wanted:ident) => {
        $found = $found.or_else(|| $crate::settings::setting::find_below(&$field, $name, $wanted));
    };
    (optional $field:expr, $found:ident, $name:ident, $wanted:ident) => {
        if let Some(field) = &$field {
            $found =
                $found.or_else(|| $crate::settings::setting::find_below(field, $name, $wanted));
        }
    };
    (flatten $field:expr, $found:ident, $name:ident, $wanted:ident) => {
        let _ = $name;
    };
}

macro_rules! field_forget {
    (required $field:expr, $name:expr, $path:ident) => {
        $crate::settings::setting::below($path, $name).is_some_and(|rest| {
            $crate::settings::setting::Setting::forget($field.value_mut(), rest)
        })
    };
    (optional $field:expr, $name:expr, $path:ident) => {
        match (&mut $field, $crate::settings::setting::below($path, $name)) {
            (Some(field), Some(rest)) => {
                if !$crate::settings::setting::Setting::forget(field.value_mut(), rest) {
                    $field = None;
                }
                true
            }
            _ => false,
        }
    };
    (flatten $field:expr, $name:expr, $path:ident) => {
        $crate::settings::setting::Setting::forget(&mut $field, $path)
    };
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
