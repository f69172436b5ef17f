//! Connections that were made elsewhere. (Behaviour 91.)

use std::sync::Arc;

use wharf::AddError;

use crate::sharing::sharing;
use crate::support::*;

#[tokio::test(start_paused = true)]
async fn add_gives_a_dead_connection_back_with_an_error_of_its_own() {
    let (pool, connector) = pool_of(1);
    let dead = connector.make(1);
    dead.kill();
    let error = pool.add(&1, dead).unwrap_err();
    assert!(matches!(error, AddError::NotOpen { .. }), "{error:?}");
    assert_eq!(error.into_connection().number, 0);
    assert_eq!((pool.status().idle, pool.status().hosts), (0, 0), "nothing is left of it");
    pool.add(&1, connector.make(1)).unwrap();
    assert_eq!(pool.acquire(&1).await.unwrap().number, 1);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_is_open_of_an_added_connection_gives_it_back() {
    let (pool, connector) = pool_of(1);
    connector.let_is_open_panic();
    let error = pool.add(&1, connector.make(1)).unwrap_err();
    assert!(matches!(error, AddError::NotOpen { .. }), "{error:?}");
    connector.behave();
    pool.add(&1, error.into_connection()).unwrap();
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn add_gives_a_dead_shared_connection_back_as_it_was() {
    let stage = sharing(1, 2);
    let dead = Arc::new(stage.script.make(1));
    dead.kill();
    let error = stage.pool.add(&1, dead.clone()).unwrap_err();
    assert!(matches!(error, AddError::NotOpen { .. }), "{error:?}");
    let back = error.into_connection();
    assert!(Arc::ptr_eq(&back, &dead));
    assert_eq!((Arc::strong_count(&dead), stage.gauges()), (2, [0; 4]), "the pool keeps none");
    drop((back, dead));
    stage.assert_balanced();
}
