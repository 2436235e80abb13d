// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A function that works on a thread of its own: the times of its pieces, and the requests that wait
//! for them.

use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ringbar_endpoint::config_space::{Identity, Messages};
use ringbar_endpoint::function::{Bus, Function, Next, Work};
use ringbar_endpoint::shape::{Backing, BarShape, Shape};
use ringbar_endpoint::{Endpoint, Worker};
use ringbar_vfio_user::device::{Device, DmaMap, DmaRange};

/// Time after which a call counts as never coming.
const PATIENCE: Duration = Duration::from_secs(60);

/// A function whose pieces of work are a script. A write makes work. Each piece is reported.
struct Script {
    pieces: Vec<Piece>,
    wanted: bool,
    done: Sender<()>,
}

/// A piece of work. Returns the time of the next.
type Piece = Box<dyn FnOnce() -> Next + Send>;

impl Function for Script {
    fn read(&mut self, _bar: u32, _offset: u64, _data: &mut [u8], _bus: &mut Bus) {}

    fn write(&mut self, _bar: u32, _offset: u64, _data: &[u8], _bus: &mut Bus) {
        self.wanted = true;
    }

    fn reset(&mut self, _bus: &mut Bus) {}
}

impl Work for Script {
    fn work(&mut self, _bus: &mut Bus) -> Next {
        self.wanted = false;
        let next = self.pieces.pop().map_or(Next::Wait, |piece| piece());
        // The test may have seen enough.
        let _ended = self.done.send(());
        next
    }

    fn has_work(&self) -> bool {
        self.wanted
    }
}

/// Starts a worker that does these pieces, the first one first, and nothing after them.
fn worker(mut pieces: Vec<Piece>) -> (Worker<Script>, Receiver<()>) {
    pieces.reverse();
    let (done, pieces_done) = channel();
    let script = Script {
        pieces,
        wanted: false,
        done,
    };
    let shape = Shape {
        identity: Identity {
            vendor: 1,
            device: 2,
            class: 3,
            revision: 4,
        },
        bars: vec![BarShape {
            index: 0,
            backing: Backing::Trapped(4096),
        }],
        messages: Messages::Msi { vectors: 1 },
    };
    let endpoint = Endpoint::new(script, shape).unwrap();
    (Worker::start(endpoint).unwrap(), pieces_done)
}

fn wait_for(done: &Receiver<()>, pieces: usize) {
    for _ in 0..pieces {
        done.recv_timeout(PATIENCE).expect("a piece of work");
    }
}

#[test]
fn work_goes_on_until_the_function_waits() {
    let (_worker, done) = worker(vec![
        Box::new(|| Next::Now),
        Box::new(|| Next::Yield),
        Box::new(|| Next::At(Instant::now())),
        Box::new(|| Next::Wait),
    ]);

    wait_for(&done, 4);
}

#[test]
fn access_that_makes_work_wakes_the_thread() {
    for wait in [Next::Wait, Next::At(Instant::now() + 2 * PATIENCE)] {
        let (mut worker, done) = worker(vec![Box::new(move || wait)]);
        wait_for(&done, 1);

        worker.read(0, 0, &mut [0]).unwrap();
        worker.write(0, 0, &[1]).unwrap();

        wait_for(&done, 1);
    }
}

#[test]
fn end_of_a_mapping_waits_for_the_piece_under_way() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let (begun, begins) = channel();
    let (go, gone) = channel::<()>();
    let ends = Arc::clone(&order);
    let (mut worker, done) = worker(vec![
        Box::new(|| Next::Wait),
        Box::new(move || {
            begun.send(()).unwrap();
            gone.recv().unwrap();
            // Time for a request that does not wait.
            (0..1000).for_each(|_| thread::yield_now());
            ends.lock().unwrap().push("piece");
            Next::Wait
        }),
    ]);
    wait_for(&done, 1);
    let range = DmaRange::new(0, 4096).unwrap();
    let map = DmaMap {
        range,
        read: true,
        write: true,
        file: None,
    };
    worker.dma_map(map).unwrap();
    worker.write(0, 0, &[1]).unwrap();
    begins.recv_timeout(PATIENCE).unwrap();

    go.send(()).unwrap();
    worker.dma_unmap(range).unwrap();
    order.lock().unwrap().push("unmapped");

    assert_eq!(*order.lock().unwrap(), ["piece", "unmapped"]);
}

#[test]
fn dropped_worker_ends_its_thread_whatever_that_does() {
    for wait in [Next::Wait, Next::At(Instant::now() + 2 * PATIENCE)] {
        let (worker, done) = worker(vec![Box::new(move || wait)]);
        wait_for(&done, 1);

        drop(worker);

        assert!(done.recv().is_err(), "the thread has gone with its sender");
    }
}
