//! Any program on shared connections keeps what must hold, and in the end everybody is served.

use crate::act::act_on_shared;
use crate::random::run_any;
use crate::shared_settings::shared_settings;
use crate::shared_world::SharedWorld;

#[test]
fn any_program_on_shared_connections_under_common_caps_keeps_every_promise() {
    run_any::<SharedWorld>(shared_settings(true), act_on_shared());
}

#[test]
fn any_program_on_shared_connections_of_hosts_apart_keeps_every_promise() {
    run_any::<SharedWorld>(shared_settings(false), act_on_shared());
}
