/* Standard output of every command: what could not be written is told, with its reason. */
#ifndef CH_CLI_OUTPUT_H
#define CH_CLI_OUTPUT_H

/* Before anything is printed. */
void ch_output_begin(void);
/* At the end; returns the exit code: that of the command, or 1 when it says success and not all
 * of its output was written. */
int ch_output_end(int code);

#endif
