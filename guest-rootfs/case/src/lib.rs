// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The attribute `#[case]` of the guest's test programs. Use it as `ringbar_tests::case`.
//!
//! `linkme` gathers functions without their names, and `macro_rules!` cannot define attributes yet.

use proc_macro::TokenStream;
use quote::quote;
use syn::{parse_macro_input, parse_quote, ItemFn, Path};

/// Makes a function a case of its program, under the function's name.
///
/// `#[case]` stands before a function without arguments that returns nothing or `Result<(), Skip>`.
/// `#[case(maker)]` calls `maker` with name and function. `maker` returns one `Case` or several.
#[proc_macro_attribute]
pub fn case(maker: TokenStream, function: TokenStream) -> TokenStream {
    let maker: Path = match maker.is_empty() {
        true => parse_quote!(::ringbar_tests::Case::new),
        false => parse_macro_input!(maker),
    };
    let function = parse_macro_input!(function as ItemFn);
    let name = &function.sig.ident;
    quote! {
        #function

        const _: () = {
            #[::ringbar_tests::linkme::distributed_slice(::ringbar_tests::CASES)]
            #[linkme(crate = ::ringbar_tests::linkme)]
            static LISTED: ::ringbar_tests::Listed = ::ringbar_tests::Listed {
                place: (module_path!(), line!()),
                make: || #maker(stringify!(#name), #name).into(),
            };
        };
    }
    .into()
}
