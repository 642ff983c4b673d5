/// Tables. Each field is `required` or `optional`, or a table whose fields stand in this one
/// (`flatten`). One that is `expected` is required, and what stands beside it is looked at also where
/// it is missing. A name in parentheses is the file's, where Rust has another; names after `|` are
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
