// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Safe access to a ringbar device through its driver.
