/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_DEEPSADD_H
#define DAEMON_DEEPSADD_H

int main(int argc, char **argv);

#endif
