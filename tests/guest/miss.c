/* Asks an NVMe controller to identify itself to where nothing is mapped for it: an admin command without a buffer, whose PRP entry is
 * therefore 0. Prints the command's status: 0x4 is Data Transfer Error (NVMe 1.4, figure 128).
 *
 *   miss /dev/nvme0 */
#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <stdio.h>
#include <sys/ioctl.h>

int main(int count, char** arguments) {
  int const controller = count == 2 ? open(arguments[1], O_RDWR) : -1;
  if (controller < 0) return perror("miss"), 2;
  struct nvme_admin_cmd command = {.opcode = 0x06, .cdw10 = 1};
  int const status = ioctl(controller, NVME_IOCTL_ADMIN_CMD, &command);
  if (status < 0) return perror("miss: NVME_IOCTL_ADMIN_CMD"), 2;
  printf("status %#x\n", status & 0x7ff);
  return 0;
}
