// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The verdict over all paths: runs the test vectors on path C, takes the rows of the other paths
//! from the logs of their runs, and writes one table, vector by path.

use clap::Parser;
use ringbar_driver_side::Error as Failure;
use ringbar_host_driver::{connect, Error, HostDriver};
use ringbar_test_vectors::{self as test_vectors, Images, Table};
use std::error::Error as StdError;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longest time in which a server must begin to listen.
const START: Duration = Duration::from_secs(20);
/// Time between two tries to connect.
const STEP: Duration = Duration::from_millis(10);
/// Most differences that are printed. The table has all of them.
const SHOWN: usize = 20;

/// Text below the table: which paths can have the same mistake.
const INDEPENDENCE: &str = "
Paths B (VFIO in the guest) and C (vfio-user on the host) share their driver side,
`qemu-device/driver-side`: they differ in the transport only, and a mistake of that driver side is in
both. Path A sets the device up by the kernel driver, which has no code of it. The client library of
path A has its rings from there. The expectations have code of neither; all of them share the
constants and structures of `qemu-device/spec`.
";

/// Compares what the test vectors do on all paths to the device, and writes a table.
///
/// Exit status: 0 if all paths are as they must be, 1 if not or if that could not be found out, 2 if
/// the command line is wrong.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// The device server's program, for path C
    #[arg(long, value_name = "BIN")]
    server: PathBuf,

    /// Results of a run of the guest; may be given more than once
    #[arg(long, value_name = "FILE")]
    results: Vec<PathBuf>,

    /// Paths that must be there
    #[arg(long, value_name = "LETTERS", default_value = "ABC")]
    paths: String,

    /// Seed of the random vectors, as the runs had it
    #[arg(long, value_name = "N", default_value_t = test_vectors::DEFAULT_SEED)]
    seed: u64,

    /// Where the table goes
    #[arg(long, value_name = "FILE")]
    table: PathBuf,
}

fn main() -> ExitCode {
    match judge(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ringbar: error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Makes the table. Returns whether all paths are as they must be.
fn judge(options: &Options) -> Result<bool, Box<dyn StdError>> {
    let mut table = Table::default();
    let initial = Images::default();
    let all = test_vectors::all(options.seed);
    let rows = all.iter().map(|vector| vector.expected(&initial));
    table.expect(&options.paths, rows);
    // The kernel's driver maps for itself, so path A has no cases of an IOMMU.
    let mapping = options.paths.replace('A', "");
    table.expect(&mapping, test_vectors::dma::expected());
    for path in &options.results {
        let log = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        table.read(&String::from_utf8_lossy(&log));
    }
    if options.paths.contains('C') {
        Served::start(&options.server)?
            .connect()?
            .run(|client| test_vectors::run(client, &all, |row| table.add('C', row)))?;
        // The IOMMU's cases need a path of which nothing was used yet, so a server of their own.
        Served::start(&options.server)?.connect()?.run(|client| {
            test_vectors::dma::run(client, options.seed, |row| table.add('C', row))
        })?;
    }
    fs::write(&options.table, format!("{table}{INDEPENDENCE}"))?;
    let differences = table.differences();
    for difference in differences.iter().take(SHOWN) {
        eprintln!("ringbar: {difference}");
    }
    let place = options.table.display();
    match differences.len() {
        0 => println!("paths {} agree: {place}", options.paths),
        count => eprintln!("ringbar: {count} differences between paths: {place}"),
    }
    Ok(differences.is_empty())
}

/// A server of this program's own. Dropping it ends the server.
struct Served {
    server: Child,
    folder: tempfile::TempDir,
}

impl Served {
    /// Starts a server on a socket in a folder of its own.
    fn start(program: &Path) -> Result<Self, Box<dyn StdError>> {
        let folder = tempfile::tempdir()?;
        let server = Command::new(program)
            .arg("--socket")
            .arg(folder.path().join("socket"))
            .args(["--log", "error"])
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        Ok(Self { server, folder })
    }

    /// Connects as soon as the server listens.
    fn connect(self) -> Result<Connected, Failure<Error>> {
        let socket = self.folder.path().join("socket");
        let deadline = Instant::now() + START;
        loop {
            match connect(&socket) {
                Err(Failure::Transport(Error::Client(ringbar_checked_client::Error::Relay(_))))
                    if Instant::now() < deadline =>
                {
                    sleep(STEP)
                }
                Err(error) => return Err(error),
                Ok(client) => {
                    return Ok(Connected {
                        client,
                        _served: self,
                    })
                }
            }
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // An error means that the server has ended already.
        let _ended = self.server.kill();
        let _status = self.server.wait();
    }
}

/// A server with this program as its client.
struct Connected {
    client: HostDriver,
    _served: Served,
}

impl Connected {
    /// Runs `body` on the device, and hangs up whatever its outcome.
    fn run<E: ToString>(
        mut self,
        body: impl FnOnce(&mut HostDriver) -> Result<(), E>,
    ) -> Result<(), Box<dyn StdError>> {
        let done = body(&mut self.client).map_err(|error| error.to_string());
        self.client.into_transport().hang_up()?;
        Ok(done?)
    }
}
