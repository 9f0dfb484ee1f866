//! [`language!`](crate::language): declares types of the language.
//!
//! One declaration gives the Rust type, how it is read and written, and what the reference says about it.

/// Declares structs and enums of the scenario language.
///
/// Every struct field is `name: Type` (required, unless the type is an `Option`), or `name: Type = default`, where the
/// default is an expression whose text in the reference is what it encodes to. An enum variant is `Name`, `Name(Type)`,
/// `Name(Type, Type)` (three at most) or `Name { fields }`; one of them may be marked `as bare`, and then its argument may be written
/// without the name. All types get `Debug`, `Clone` and `PartialEq`, and implement [`Decode`] and [`Encode`]; all fields
/// are public. Docs are doc comments.
///
/// [`Decode`]: crate::scenario::syntax::Decode
/// [`Encode`]: crate::scenario::syntax::Encode
///
/// ```
/// quorate::language! {
///     /// How many requests are served at once.
///     pub enum Servers {
///         /// Any number.
///         Unlimited,
///         /// So many.
///         Count(u32) as bare,
///     }
///
///     /// Something to call.
///     pub struct Service {
///         /// Where it runs.
///         at: String,
///         /// How many requests are served at once.
///         servers: Servers = Servers::Count(1),
///     }
/// }
/// # use quorate::scenario::syntax::{from_text, to_text};
/// let service: Service = from_text(r#"(at: "tools", servers: 32)"#).unwrap();
/// assert_eq!(service.servers, Servers::Count(32));
/// assert_eq!(to_text(&service), r#"(at:"tools",servers:Count(32))"#);
/// assert!(from_text::<Service>(r#"(at: "tools", servers: Unlimitd)"#).is_err());
/// ```
#[macro_export]
macro_rules! language {
    () => {};
    (
        $(#[doc = $doc:literal])*
        pub struct $name:ident {
            $( $(#[doc = $fdoc:literal])* $field:ident : $ty:ty $(= $default:expr)? ),* $(,)?
        }
        $($rest:tt)*
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $( $(#[doc = $fdoc])* pub $field: $ty, )*
        }

        #[allow(clippy::redundant_closure_call, clippy::let_unit_value)]
        impl $crate::scenario::syntax::Decode for $name {
            fn decode(
                node: &$crate::scenario::syntax::Node,
                cx: &mut $crate::scenario::syntax::Cx,
            ) -> ::core::option::Option<Self> {
                const NAMES: &[&str] = &[$($crate::scenario::syntax::describe::plain_name(stringify!($field))),*];
                #[allow(unused_mut)]
                let mut fields =
                    $crate::scenario::syntax::decode::Fields::of_struct(node, cx, stringify!($name), NAMES)?;
                $( let $field = $crate::__language_field!(take fields, cx, $ty $(, $default)?); )*
                fields.finish(cx);
                Some(Self { $( $field: $field?, )* })
            }

            fn arrange(node: &mut $crate::scenario::syntax::Node) {
                $crate::scenario::syntax::arrange::fields(node, &[$((
                    $crate::scenario::syntax::describe::plain_name(stringify!($field)),
                    <$ty as $crate::scenario::syntax::Decode>::arrange,
                )),*]);
            }

            fn type_name() -> String {
                stringify!($name).to_string()
            }

            fn describe(reference: &mut $crate::scenario::syntax::Reference) {
                reference.add(stringify!($name), |reference| {
                    let _ = &reference;
                    $( <$ty as $crate::scenario::syntax::Decode>::describe(reference); )*
                    $crate::scenario::syntax::Description {
                        name: stringify!($name),
                        doc: $crate::scenario::syntax::describe::doc_text(&[$($doc),*]),
                        fields: vec![$(
                            $crate::__language_field!(describe $field, [$($fdoc),*], $ty $(, $default)?)
                        ),*],
                        variants: Vec::new(),
                    }
                });
            }
        }

        impl $crate::scenario::syntax::Encode for $name {
            fn encode(&self) -> $crate::scenario::syntax::Node {
                $crate::scenario::syntax::Node::fields(None, vec![$((
                    $crate::scenario::syntax::describe::plain_name(stringify!($field)),
                    $crate::scenario::syntax::Encode::encode(&self.$field),
                )),*])
            }
        }

        $crate::language! { $($rest)* }
    };
    (
        $(#[doc = $doc:literal])*
        pub enum $name:ident {
            $(
                $(#[doc = $vdoc:literal])*
                $variant:ident
                $( ( $($item:ty),+ $(,)? ) )?
                $( { $( $(#[doc = $fdoc:literal])* $field:ident : $ty:ty $(= $default:expr)? ),* $(,)? } )?
                $( as $bare:ident )?
            ),* $(,)?
        }
        $($rest:tt)*
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $name {
            $(
                $(#[doc = $vdoc])*
                $variant
                $( ( $($item),+ ) )?
                $( { $( $(#[doc = $fdoc])* $field: $ty, )* } )?
            ,)*
        }

        #[allow(clippy::redundant_closure_call, clippy::let_unit_value)]
        impl $crate::scenario::syntax::Decode for $name {
            fn decode(
                node: &$crate::scenario::syntax::Node,
                cx: &mut $crate::scenario::syntax::Cx,
            ) -> ::core::option::Option<Self> {
                let name = cx.variant_name(node);
                $(
                    if name == Some(stringify!($variant)) {
                        return $crate::__language_variant!(
                            decode node, cx, $variant
                            $( ( $($item),+ ) )?
                            $( { $( $field: $ty $(= $default)? ),* } )?
                        );
                    }
                )*
                $(
                    $crate::__language_variant!(
                        bare [$($bare)?] node, cx, name, $variant
                        $( ( $($item),+ ) )?
                        $( { $( $field: $ty $(= $default)? ),* } )?
                    );
                )*
                $crate::scenario::syntax::decode::unknown_variant(node, cx, stringify!($name))
            }

            fn arrange(node: &mut $crate::scenario::syntax::Node) {
                let name = node.variant_name().map(|(name, _)| name.to_string());
                $(
                    if name.as_deref() == Some(stringify!($variant)) {
                        return $crate::__language_variant!(
                            arrange node
                            $( ( $($item),+ ) )?
                            $( { $( $field: $ty ),* } )?
                        );
                    }
                )*
                $(
                    $crate::__language_variant!(
                        arrange bare [$($bare)?] node
                        $( ( $($item),+ ) )?
                        $( { $( $field: $ty ),* } )?
                    );
                )*
            }

            fn type_name() -> String {
                stringify!($name).to_string()
            }

            fn variant_names(names: &mut Vec<&'static str>) {
                $( names.push(stringify!($variant)); )*
                $( $crate::__language_variant!(bare names [$($bare)?] names $( ( $($item),+ ) )?); )*
            }

            fn describe(reference: &mut $crate::scenario::syntax::Reference) {
                reference.add(stringify!($name), |reference| {
                    let _ = &reference;
                    $(
                        $($( <$item as $crate::scenario::syntax::Decode>::describe(reference); )+)?
                        $($( <$ty as $crate::scenario::syntax::Decode>::describe(reference); )*)?
                    )*
                    $crate::scenario::syntax::Description {
                        name: stringify!($name),
                        doc: $crate::scenario::syntax::describe::doc_text(&[$($doc),*]),
                        fields: Vec::new(),
                        variants: vec![$(
                            $crate::scenario::syntax::VariantDescription {
                                name: stringify!($variant),
                                doc: $crate::scenario::syntax::describe::doc_text(&[$($vdoc),*]),
                                items: vec![$($( <$item as $crate::scenario::syntax::Decode>::type_name() ),+)?],
                                fields: vec![$($(
                                    $crate::__language_field!(describe $field, [$($fdoc),*], $ty $(, $default)?)
                                ),*)?],
                                bare: !<[&str]>::is_empty(&[$(stringify!($bare))?]),
                            }
                        ),*],
                    }
                });
            }
        }

        impl $crate::scenario::syntax::Encode for $name {
            fn encode(&self) -> $crate::scenario::syntax::Node {
                $(
                    $crate::__language_variant!(
                        encode self, $name, $variant $( ( $($item),+ ) )? $( { $( $field ),* } )?
                    );
                )*
                unreachable!("every variant returned above")
            }
        }

        $crate::language! { $($rest)* }
    };
}

/// The field rules of [`language!`](crate::language).
#[doc(hidden)]
#[macro_export]
macro_rules! __language_field {
    (take $fields:ident, $cx:ident, $ty:ty) => { $fields.required::<$ty>($cx) };
    (take $fields:ident, $cx:ident, $ty:ty, $default:expr) => { $fields.or_else::<$ty>($cx, || $default) };
    (describe $field:ident, [$($doc:literal),*], $ty:ty $(, $default:expr)?) => {{
        #[allow(unused_mut, unused_assignments)]
        let mut default: Option<String> = None;
        $(
            let value: $ty = $default;
            default = Some($crate::scenario::syntax::write::line(&$crate::scenario::syntax::Encode::encode(&value)));
        )?
        $crate::scenario::syntax::FieldDescription {
            name: $crate::scenario::syntax::describe::plain_name(stringify!($field)),
            doc: $crate::scenario::syntax::describe::doc_text(&[$($doc),*]),
            type_name: <$ty as $crate::scenario::syntax::Decode>::type_name(),
            required: default.is_none() && <$ty as $crate::scenario::syntax::Decode>::absent().is_none(),
            default,
        }
    }};
}

/// The variant rules of [`language!`](crate::language).
#[doc(hidden)]
#[macro_export]
macro_rules! __language_variant {
    // Reading `Name`, `Name(payload)`, `Name(a, b)`, `Name(field: value)`.
    (decode $node:ident, $cx:ident, $variant:ident) => {
        $crate::scenario::syntax::decode::variant_unit($node, $cx, stringify!($variant)).map(|()| Self::$variant)
    };
    (decode $node:ident, $cx:ident, $variant:ident ( $item:ty )) => {
        $crate::scenario::syntax::decode::variant_payload::<$item>($node, $cx, stringify!($variant)).map(Self::$variant)
    };
    (decode $node:ident, $cx:ident, $variant:ident ( $($item:ty),+ )) => {{
        const COUNT: usize = [$(stringify!($item)),+].len();
        $crate::scenario::syntax::decode::variant_items($node, $cx, stringify!($variant), COUNT).and_then(|items| {
            let mut items = items.iter();
            // A tuple evaluates in order, so every item is decoded before any is given up.
            $crate::__language_variant!(items items, $cx, $variant, [] $($item,)+)
        })
    }};
    (decode $node:ident, $cx:ident, $variant:ident { $( $field:ident : $ty:ty $(= $default:expr)? ),* }) => {
        (|| {
            const NAMES: &[&str] = &[$($crate::scenario::syntax::describe::plain_name(stringify!($field))),*];
            #[allow(unused_mut)]
            let mut fields =
                $crate::scenario::syntax::decode::Fields::of_variant($node, $cx, stringify!($variant), NAMES)?;
            $( let $field = $crate::__language_field!(take fields, $cx, $ty $(, $default)?); )*
            fields.finish($cx);
            Some(Self::$variant { $( $field: $field?, )* })
        })()
    };
    (items $items:ident, $cx:ident, $variant:ident, [$($done:ident)*] $item:ty, $($more:ty,)*) => {{
        let value = $items.next().and_then(|node| $crate::scenario::syntax::decode::read::<$item>(node, $cx));
        $crate::__language_variant!(items $items, $cx, $variant, [$($done)* value] $($more,)*)
    }};
    (items $items:ident, $cx:ident, $variant:ident, [$($done:ident)*]) => {
        Some(Self::$variant($($done?),*))
    };
    // Reading the argument of the bare variant without its name.
    (bare [bare] $node:ident, $cx:ident, $name:ident, $variant:ident ( $item:ty )) => {
        if $name.is_none_or(|name| <$item as $crate::scenario::syntax::Decode>::has_variant(name)) {
            let mut names = Vec::new();
            <Self as $crate::scenario::syntax::Decode>::variant_names(&mut names);
            return $crate::scenario::syntax::decode::bare_payload::<$item>($node, $cx, &names).map(Self::$variant);
        }
    };
    (bare [bare] $node:ident, $cx:ident, $name:ident, $variant:ident { $($fields:tt)* }) => {
        if $name.is_none() {
            return $crate::__language_variant!(decode $node, $cx, $variant { $($fields)* });
        }
    };
    (bare [] $($rest:tt)*) => {};
    // Arranging `Name`, `Name(payload)`, `Name(a, b)`, `Name(field: value)`, and the bare argument.
    (arrange $node:ident) => { () };
    (arrange $node:ident ( $item:ty )) => {
        $crate::scenario::syntax::arrange::payload($node, <$item as $crate::scenario::syntax::Decode>::arrange)
    };
    (arrange $node:ident ( $($item:ty),+ )) => {
        $crate::scenario::syntax::arrange::items($node, &[$(<$item as $crate::scenario::syntax::Decode>::arrange),+])
    };
    (arrange $node:ident { $( $field:ident : $ty:ty ),* }) => {
        $crate::scenario::syntax::arrange::fields($node, &[$((
            $crate::scenario::syntax::describe::plain_name(stringify!($field)),
            <$ty as $crate::scenario::syntax::Decode>::arrange,
        )),*])
    };
    (arrange bare [bare] $node:ident ( $item:ty )) => {
        <$item as $crate::scenario::syntax::Decode>::arrange($node)
    };
    (arrange bare [bare] $node:ident { $($fields:tt)* }) => {
        $crate::__language_variant!(arrange $node { $($fields)* })
    };
    (arrange bare [] $($rest:tt)*) => {};
    (bare names [bare] $names:ident ( $item:ty )) => {
        <$item as $crate::scenario::syntax::Decode>::variant_names($names);
    };
    (bare names [$($bare:ident)?] $($rest:tt)*) => {};
    // Writing.
    (encode $self:ident, $name:ident, $variant:ident) => {
        if let $name::$variant = $self {
            return $crate::scenario::syntax::Node::fields(Some(stringify!($variant)), Vec::new());
        }
    };
    (encode $self:ident, $name:ident, $variant:ident ( $item:ty )) => {
        #[allow(irrefutable_let_patterns)]
        if let $name::$variant(item) = $self {
            let items = vec![$crate::scenario::syntax::Encode::encode(item)];
            return $crate::scenario::syntax::Node::variant(stringify!($variant), items);
        }
    };
    (encode $self:ident, $name:ident, $variant:ident ( $first:ty, $second:ty )) => {
        #[allow(irrefutable_let_patterns)]
        if let $name::$variant(first, second) = $self {
            let items = vec![
                $crate::scenario::syntax::Encode::encode(first),
                $crate::scenario::syntax::Encode::encode(second),
            ];
            return $crate::scenario::syntax::Node::variant(stringify!($variant), items);
        }
    };
    (encode $self:ident, $name:ident, $variant:ident ( $first:ty, $second:ty, $third:ty )) => {
        #[allow(irrefutable_let_patterns)]
        if let $name::$variant(first, second, third) = $self {
            let items = vec![
                $crate::scenario::syntax::Encode::encode(first),
                $crate::scenario::syntax::Encode::encode(second),
                $crate::scenario::syntax::Encode::encode(third),
            ];
            return $crate::scenario::syntax::Node::variant(stringify!($variant), items);
        }
    };
    (encode $self:ident, $name:ident, $variant:ident { $( $field:ident ),* }) => {
        #[allow(irrefutable_let_patterns)]
        if let $name::$variant { $($field),* } = $self {
            return $crate::scenario::syntax::Node::fields(Some(stringify!($variant)), vec![$((
                $crate::scenario::syntax::describe::plain_name(stringify!($field)),
                $crate::scenario::syntax::Encode::encode($field),
            )),*]);
        }
    };
}
