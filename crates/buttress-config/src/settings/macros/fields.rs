//! What each kind of field is, and what is done with it.

macro_rules! field_type {
    (required $type:ty) => { $crate::source::At<$type> };
    (expected $type:ty) => { $crate::source::At<$type> };
    (optional $type:ty) => { Option<$crate::source::At<$type>> };
    (flatten $type:ty) => { $type };
}

macro_rules! field_read {
    (required $type:ty, $name:expr, $table:ident, $span:ident, $report:ident) => {
        $crate::settings::setting::read_required::<$type>($table, $name, $span, $report)
    };
    (expected $type:ty, $name:expr, $table:ident, $span:ident, $report:ident) => {
        $crate::settings::setting::read_expected::<$type>($table, $name, $span, $report)
    };
    (optional $type:ty, $name:expr, $table:ident, $span:ident, $report:ident) => {
        $crate::settings::setting::read_optional::<$type>($table, $name, $span, $report)
    };
    (flatten $type:ty, $name:expr, $table:ident, $span:ident, $report:ident) => {
        <$type as $crate::settings::setting::Fields>::read_fields($table, $span, $report)
    };
}

macro_rules! field_take {
    (optional $field:ident) => {
        $field
    };
    (expected $field:ident) => {
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
    (optional) => {
        false
    };
    ($kind:ident) => {
        true
    };
}

macro_rules! field_show {
    (expected $($rest:tt)+) => {
        field_show!(required $($rest)+)
    };
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
    (expected $($rest:tt)+) => {
        field_find!(required $($rest)+)
    };
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
    (expected $($rest:tt)+) => {
        field_below!(required $($rest)+)
    };
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
    (expected $($rest:tt)+) => {
        field_forget!(required $($rest)+)
    };
    (required $field:expr, $name:expr, $path:ident) => {
        $crate::settings::setting::below($path, $name).is_some_and(|rest| {
            $crate::settings::setting::Setting::forget($field.value_mut(), rest)
        })
    };
    (optional $field:expr, $name:expr, $path:ident) => {
        match (&mut $field, $crate::settings::setting::below($path, $name)) {
            (Some(field), Some(rest)) => {
                if rest.is_empty()
                    || !$crate::settings::setting::Setting::forget(field.value_mut(), rest)
                {
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
