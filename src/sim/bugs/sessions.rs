//! The sessions of one replica have other bounds than those of the others.

use super::Adapter;
use crate::replica::Options;

/// The first replica keeps half as many sessions as the others.
#[derive(Debug)]
pub(super) struct ExpiresAlone;

impl Adapter for ExpiresAlone {
    fn options(&mut self, options: &mut Options) {
        if options.own.number() == 0 {
            options.state_machine.sessions.count = options.state_machine.sessions.count.div_ceil(2);
        }
    }
}
